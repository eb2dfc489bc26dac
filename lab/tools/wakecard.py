#!/usr/bin/env python3
"""The network cards of the lab's hosts, as far as they listen while their hosts sleep: simulated, since a host of the lab is
no machine, and its card goes with it.

  wakecard.py [--port 9] HOST=MAC... -- COMMAND...

Takes UDP broadcasts. On a magic packet (six bytes of ones, then a card's address sixteen times) for a host that has no power,
COMMAND HOST set power 1 is what switches it on; "COMMAND HOST get power" says whether it has any. One line a packet.
"""
import argparse
import datetime
import socket
import subprocess
import sys

COMMAND_SECONDS = 150  # the lab's own lock is waited for as long


def parse(argv):
    split = argv.index("--")
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=9)
    parser.add_argument("cards", nargs="+")
    options = parser.parse_args(argv[:split])
    cards = {}
    for each in options.cards:
        host, mac = each.split("=", 1)
        cards[bytes.fromhex(mac.replace(":", ""))] = host
    return options.port, cards, argv[split + 1 :]


def magic_of(packet):
    """The address that it calls, or nothing. Cards find it anywhere in a frame; what follows may be a password."""
    at = packet.find(b"\xff" * 6)
    mac = packet[at + 6 : at + 12]
    whole = at >= 0 and len(mac) == 6 and packet[at + 6 : at + 6 + 96] == mac * 16
    return mac if whole else None


def chassis(command, host, *words):
    done = subprocess.run(
        [*command, host, *words], stdout=subprocess.PIPE, timeout=COMMAND_SECONDS, check=False, text=True
    )
    return done.stdout.strip()


def say(text):
    """With the time of day, as the BMCs' logs have it."""
    print(f"{datetime.datetime.now():%T.%f}"[:-3], text, flush=True)


def main():
    port, cards, command = parse(sys.argv[1:])
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("", port))
    say(f"listens on port {port} for {', '.join(cards.values())}; these cards are simulated")
    while True:
        packet, sender = listener.recvfrom(2048)
        host = cards.get(magic_of(packet))
        if host is None:
            say(f"{len(packet)} bytes from {sender[0]} wake nobody")
        elif chassis(command, host, "get", "power") != "power:0":
            say(f"{host} is awake already")
        else:
            say(f"{host} is woken by {sender[0]}")
            chassis(command, host, "set", "power", "1")


if __name__ == "__main__":
    main()
