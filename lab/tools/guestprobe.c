// guestprobe ADDRESS SECONDS [INTERVAL_MS]: keeps one TCP connection to a guest's port 7777, asks
// "count" every interval (50 ms) and prints one JSON line at the end (or on SIGTERM): whether the
// connection stayed open, the longest time without an answer, and whether the counter ever went
// back or lost a number. The clock is this machine's, so the longest gap is the interruption a user
// of the guest would see.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kConnectMsMax = 5000, kUnansweredMax = 4096 };

static volatile sig_atomic_t stopped;
static void stop(int signal) {
  (void)signal;
  stopped = 1;
}

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

static int dial(const char* address) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7777)};
  if (inet_pton(AF_INET, address, &to.sin_addr) != 1) return -1;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, error = 0;
  socklen_t length = sizeof error;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(fd, (struct sockaddr*)&to, sizeof to) && errno != EINPROGRESS) return -1;
  struct pollfd p = {.fd = fd, .events = POLLOUT};
  if (poll(&p, 1, kConnectMsMax) != 1) return -1;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  return error ? -1 : fd;
}

int main(int argc, char** argv) {
  if (argc < 3) {
    fputs("usage: guestprobe ADDRESS SECONDS [INTERVAL_MS]\n", stderr);
    return 2;
  }
  const double interval = argc > 3 ? atof(argv[3]) : 50, end = now_ms() + atof(argv[2]) * 1000;
  struct sigaction action = {.sa_handler = stop};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  int fd = dial(argv[1]);
  if (fd < 0) {
    printf("{\"connection\":\"refused\"}\n");
    return 1;
  }
  unsigned long long first = 0, last = 0, answers = 0, backwards = 0, lost = 0;
  double next = now_ms(), heard = now_ms(), gap = 0;
  int unanswered = 0;
  bool open = true;
  char line[256];
  size_t length = 0;
  while (open && !stopped && now_ms() < end) {
    double now = now_ms();
    if (now >= next) {
      if (unanswered < kUnansweredMax && send(fd, "count\n", 6, MSG_NOSIGNAL) == 6) unanswered++;
      next += interval;
      if (next < now) next = now + interval;
    }
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, (int)(next - now) + 1) != 1) continue;
    ssize_t n = recv(fd, line + length, sizeof line - 1 - length, 0);
    if (n <= 0) {
      open = n < 0 && (errno == EAGAIN || errno == EINTR);
      continue;
    }
    length += (size_t)n;
    for (char* stop_at; (stop_at = memchr(line, '\n', length));) {
      unsigned long long value = strtoull(line, NULL, 10);
      double at = now_ms();
      if (answers && at - heard > gap) gap = at - heard;
      heard = at;
      if (!answers) first = value;
      if (answers && value != last + 1)
        fprintf(stderr, "guestprobe: after %llu: %.*s\n", last, (int)length, line);
      if (answers && value <= last) backwards++;
      if (answers && value > last + 1) lost += value - last - 1;
      last = value;
      answers++;
      unanswered--;
      length -= (size_t)(stop_at + 1 - line);
      memmove(line, stop_at + 1, length);
    }
  }
  if (answers && now_ms() - heard > gap) gap = now_ms() - heard;
  printf(
      "{\"connection\":\"%s\",\"answers\":%llu,\"gap_ms_max\":%.1f,\"first\":%llu,\"last\":%llu,"
      "\"backwards\":%llu,\"lost\":%llu}\n",
      open ? "open" : "lost", answers, gap, first, last, backwards, lost);
  return open && !backwards ? 0 : 1;
}
