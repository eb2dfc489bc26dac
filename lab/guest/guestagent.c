// The smallest QEMU guest agent that libvirt accepts: sync, ping, info, the network interfaces,
// host name, shutdown. It answers on the virtio-serial port org.qemu.guest_agent.0, one JSON line a
// request. Protocol: https://www.qemu.org/docs/master/interop/qemu-ga-ref.html
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { kRequestBytesMax = 4096, kReplyBytesMax = 8192, kInterfacesMax = 8 };

static int open_port(void) {
  DIR* dir = opendir("/sys/class/virtio-ports");
  int port = -1;
  for (struct dirent* e; dir && port < 0 && (e = readdir(dir));) {
    char path[300], name[64] = "";
    snprintf(path, sizeof path, "/sys/class/virtio-ports/%.64s/name", e->d_name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    if (read(fd, name, sizeof name - 1) < 0) name[0] = 0;
    close(fd);
    if (strncmp(name, "org.qemu.guest_agent.0", 22)) continue;
    snprintf(path, sizeof path, "/dev/%.64s", e->d_name);
    port = open(path, O_RDWR | O_CLOEXEC);
  }
  if (dir) closedir(dir);
  return port;
}

// The text after "KEY": in a flat request; requests come from libvirt, not from people, so no full
// parser.
static const char* field(const char* json, const char* key) {
  char quoted[64];
  snprintf(quoted, sizeof quoted, "\"%s\"", key);
  const char* at = strstr(json, quoted);
  if (!at) return NULL;
  at += strlen(quoted);
  return at + strspn(at, ": \t");
}

static bool is(const char* value, const char* text) {
  size_t n = strlen(text);
  return value && value[0] == '"' && !strncmp(value + 1, text, n) && value[n + 1] == '"';
}

static int interfaces(char* to, size_t bytes) {
  struct ifaddrs* list = NULL;
  size_t n = 0;
  int shown = 0;
  char done[kInterfacesMax][16];
  getifaddrs(&list);
  n += (size_t)snprintf(to + n, bytes - n, "{\"return\":[");
  for (struct ifaddrs* i = list; i && shown < kInterfacesMax && n < bytes - 1024; i = i->ifa_next) {
    bool repeated = false;
    for (int k = 0; k < shown; k++) repeated |= !strcmp(done[k], i->ifa_name);
    if (repeated) continue;
    snprintf(done[shown], sizeof done[shown], "%.15s", i->ifa_name);
    char path[64], mac[32] = "00:00:00:00:00:00";
    snprintf(path, sizeof path, "/sys/class/net/%.15s/address", i->ifa_name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
      ssize_t got = read(fd, mac, 17);
      if (got > 0) mac[got] = 0;
      close(fd);
    }
    n += (size_t)snprintf(to + n, bytes - n,
                          "%s{\"name\":\"%s\",\"hardware-address\":\"%s\",\"ip-addresses\":[",
                          shown ? "," : "", i->ifa_name, mac);
    shown++;
    bool first = true;
    for (struct ifaddrs* a = i; a && n < bytes - 512; a = a->ifa_next) {
      if (strcmp(a->ifa_name, i->ifa_name) || !a->ifa_addr || !a->ifa_netmask) continue;
      int family = a->ifa_addr->sa_family, prefix = 0;
      if (family != AF_INET && family != AF_INET6) continue;
      bool six = family == AF_INET6;
      const unsigned char* mask =
          six ? ((struct sockaddr_in6*)a->ifa_netmask)->sin6_addr.s6_addr
              : (unsigned char*)&((struct sockaddr_in*)a->ifa_netmask)->sin_addr;
      for (int b = 0; b < (six ? 16 : 4); b++) prefix += __builtin_popcount(mask[b]);
      char text[INET6_ADDRSTRLEN] = "";
      const void* address = six ? (void*)&((struct sockaddr_in6*)a->ifa_addr)->sin6_addr
                                : (void*)&((struct sockaddr_in*)a->ifa_addr)->sin_addr;
      inet_ntop(family, address, text, sizeof text);
      n += (size_t)snprintf(to + n, bytes - n,
                            "%s{\"ip-address-type\":\"ipv%c\",\"ip-address\":\"%s\",\"prefix\":%d}",
                            first ? "" : ",", six ? '6' : '4', text, prefix);
      first = false;
    }
    n += (size_t)snprintf(to + n, bytes - n, "]}");
  }
  n += (size_t)snprintf(to + n, bytes - n, "]}\n");
  if (list) freeifaddrs(list);
  return (int)n;
}

static int info(char* to, size_t bytes) {
  static const char* const commands[] = {
      "guest-sync",     "guest-sync-delimited",         "guest-ping",          "guest-info",
      "guest-shutdown", "guest-network-get-interfaces", "guest-get-host-name", "guest-get-time"};
  size_t n =
      (size_t)snprintf(to, bytes, "{\"return\":{\"version\":\"7.2.0\",\"supported_commands\":[");
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
    n += (size_t)snprintf(
        to + n, bytes - n, "%s{\"name\":\"%s\",\"enabled\":true,\"success-response\":%s}",
        i ? "," : "", commands[i], strcmp(commands[i], "guest-shutdown") ? "true" : "false");
  return (int)(n + (size_t)snprintf(to + n, bytes - n, "]}}\n"));
}

static int reply(const char* request, char* to, size_t bytes) {
  const char* execute = field(request, "execute");
  if (is(execute, "guest-sync") || is(execute, "guest-sync-delimited")) {
    const char* id = field(request, "id");
    unsigned long long value = 0;
    if (id) sscanf(id, "%llu", &value);
    const char* mark = is(execute, "guest-sync-delimited") ? "\xff" : "";
    return snprintf(to, bytes, "%s{\"return\":%llu}\n", mark, value);
  }
  if (is(execute, "guest-ping")) return snprintf(to, bytes, "{\"return\":{}}\n");
  if (is(execute, "guest-info")) return info(to, bytes);
  if (is(execute, "guest-network-get-interfaces")) return interfaces(to, bytes);
  if (is(execute, "guest-get-time")) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return snprintf(to, bytes, "{\"return\":%lld}\n", (long long)t.tv_sec * 1000000000 + t.tv_nsec);
  }
  if (is(execute, "guest-get-host-name")) {
    char name[64] = "";
    gethostname(name, sizeof name - 1);
    return snprintf(to, bytes, "{\"return\":{\"host-name\":\"%s\"}}\n", name);
  }
  if (is(execute, "guest-shutdown")) {
    const char* mode = field(request, "mode");
    kill(1, is(mode, "reboot") ? SIGTERM : SIGUSR2);
    return 0;
  }
  return snprintf(to, bytes,
                  "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"not in this agent\"}}\n");
}

int main(void) {
  int port = open_port();
  if (port < 0) return 0;
  static char request[kRequestBytesMax], text[kReplyBytesMax];
  size_t length = 0;
  for (;;) {
    ssize_t n = read(port, request + length, sizeof request - 1 - length);
    if (n <= 0) {
      if (n < 0 && errno != EINTR && errno != EAGAIN) return 1;
      struct timespec wait = {
          1, 0};  // the host's end is closed; the driver has no event for its opening
      nanosleep(&wait, NULL);
      continue;
    }
    length += (size_t)n;
    request[length] = 0;
    for (char* end; (end = memchr(request, '\n', length));) {
      *end = 0;
      char* start = request;
      while (start < end && (unsigned char)*start == 0xff) start++;
      int bytes = *start ? reply(start, text, sizeof text) : 0;
      if (bytes > 0 && write(port, text, (size_t)bytes) != bytes)
        length = (size_t)(end + 1 - request);
      length -= (size_t)(end + 1 - request);
      memmove(request, end + 1, length + 1);
    }
    if (length == sizeof request - 1) length = 0;  // a request that never ends
  }
}
