// The guest's load: it burns CPU, holds and dirties memory, counts, and answers on TCP port 7777,
// so that a test can see from outside whether a guest ran on, lost time or went back in time. With
// chorok.ticks=1 it also writes a line every 100 ms on the serial console. One thread serves, one
// burns, one dirties; README.md has the protocol.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
  kPort = 7777,
  kConnectionsMax = 64,
  kLineBytesMax = 1024,
  kTickMs = 100,
  kPageBytes = 4096,
  kDirtyPerSecondMiBMax = 4096,
  kRateMax = 1000000,
};

static _Atomic int cpu_percent, mem_mib, dirty_mib_per_s, rate,
    auto_seed;  // auto_seed 0: the targets stay where they are
static _Atomic uint64_t work, dropped, dirtied_pages;
static uint64_t ticks, counter;  // serving thread only
static _Atomic int held_mib;

static uint64_t now_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void pause_ns(uint64_t ns) {
  struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
  while (nanosleep(&t, &t) && errno == EINTR) {
  }
}

// A unit of work is about 20 us on a real core: small enough that 1 % of a 50 ms period is many
// units.
static void work_unit(void) {
  static uint64_t x = 88172645463325252u;
  for (int i = 0; i < 10000; i++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
  }
  __asm__ volatile("" : : "r"(x));
  atomic_fetch_add_explicit(&work, 1, memory_order_relaxed);
}

// Work that is asked for, `rate` units a second, and not as much as the CPU gives: whoever gets
// enough does all of it. What is a second late is dropped and counted.
static void do_as_asked(double seconds, double* owed) {
  const double wanted = atomic_load(&rate);
  *owed += wanted * seconds;
  if (*owed > wanted) {
    atomic_fetch_add(&dropped, (uint64_t)(*owed - wanted));
    *owed -= (double)(uint64_t)(*owed - wanted);
  }
  const uint64_t stop = now_ns(CLOCK_MONOTONIC) + 500000000;
  while (*owed >= 1 && now_ns(CLOCK_MONOTONIC) < stop) {
    work_unit();
    *owed -= 1;
  }
}

static void* burn(void* unused) {
  (void)unused;
  const uint64_t period = 50000000;
  double owed = 0;
  for (uint64_t before = now_ns(CLOCK_MONOTONIC);;) {
    const uint64_t now = now_ns(CLOCK_MONOTONIC);
    const double passed = (double)(now - before) * 1e-9;
    before = now;
    if (atomic_load(&rate)) {
      do_as_asked(passed, &owed);
      // Twice as long: each waking costs an emulated guest more than a hundred units.
      const uint64_t spent = now_ns(CLOCK_MONOTONIC) - now;
      if (spent < 2 * period) pause_ns(2 * period - spent);
      continue;
    }
    int percent = atomic_load(&cpu_percent);
    uint64_t start = now_ns(CLOCK_MONOTONIC), stop = start + period * (uint64_t)percent / 100;
    while (percent && now_ns(CLOCK_MONOTONIC) < stop) work_unit();
    uint64_t spent = now_ns(CLOCK_MONOTONIC) - start;
    uint64_t idle = percent ? period : 500000000;  // at rest: twice a second
    if (spent < idle) pause_ns(idle - spent);
  }
  return NULL;
}

// Holds mem_mib resident and rewrites it at dirty_mib_per_s, page after page.
static void* dirty(void* unused) {
  (void)unused;
  struct sysinfo info;
  sysinfo(&info);
  const uint64_t most = (uint64_t)info.totalram * info.mem_unit / kPageBytes * 7 / 10;
  char* base = mmap(NULL, most * kPageBytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return NULL;
  uint64_t held = 0, at = 0, seed = 1;
  const uint64_t period = 50000000;
  for (;;) {
    uint64_t want = (uint64_t)atomic_load(&mem_mib) * 256;
    int rate = atomic_load(&dirty_mib_per_s);
    if (rate && want < 8 * 256) want = 8 * 256;
    if (want > most) want = most;
    uint64_t start = now_ns(CLOCK_MONOTONIC);
    if (want < held) {
      madvise(base + want * kPageBytes, (held - want) * kPageBytes, MADV_DONTNEED);
      held = want;
    }
    for (uint64_t step = 0; held < want && step < 1024;
         step++, held++) {  // 4 MiB a period: growth is no spike
      uint64_t* page = (uint64_t*)(base + held * kPageBytes);
      for (int word = 0; word < 512; word += 8)
        page[word] = seed = seed * 6364136223846793005u + 1442695040888963407u;
    }
    atomic_store(&held_mib, (int)(held / 256));
    uint64_t pages = (uint64_t)rate * 256 / 20;
    for (uint64_t i = 0; i < pages && held; i++, at++) {
      uint64_t* page = (uint64_t*)(base + at % held * kPageBytes);
      page[at % 512] = seed = seed * 6364136223846793005u + 1442695040888963407u;
    }
    atomic_fetch_add_explicit(&dirtied_pages, pages, memory_order_relaxed);
    uint64_t spent = now_ns(CLOCK_MONOTONIC) - start,
             idle = rate || held != want ? period : 500000000;
    if (spent < idle) pause_ns(idle - spent);
  }
  return NULL;
}

// The slow curve: two sines whose phases come from the seed. The same seed and uptime give the same
// targets.
static void follow_curve(void) {
  int seed = atomic_load(&auto_seed);
  if (!seed) return;
  double t = (double)now_ns(CLOCK_MONOTONIC) / 1e9;
  double a = sin(t * 2 * M_PI / 180 + seed * 2.399963),
         b = sin(t * 2 * M_PI / 67 + seed * 1.618034);
  double c = sin(t * 2 * M_PI / 300 + seed * 0.754878);
  atomic_store(&cpu_percent, (int)(18 + 11 * a + 5 * b + 0.5));      // 2 to 34 % of a vCPU
  atomic_store(&mem_mib, (int)(20 + 10 * c + 4 * a + 0.5) / 2 * 2);  // 6 to 34 MiB
  atomic_store(&dirty_mib_per_s, (int)(1.5 + 1.5 * b + 0.5));        // 0 to 3 MiB/s
}

static int bounded(const char* text, int most) {
  long value = strtol(text, NULL, 10);
  return value < 0 ? 0 : value > most ? most : (int)value;
}

static int total_mib(void) {
  struct sysinfo info;
  sysinfo(&info);
  return (int)((uint64_t)info.totalram * info.mem_unit >> 20);
}

static int describe(char* to, size_t bytes) {
  char name[64] = "";
  gethostname(name, sizeof name - 1);
  return snprintf(
      to, bytes,
      "{\"name\":\"%s\",\"counter\":%llu,\"ticks\":%llu,\"work\":%llu,\"dropped\":%llu,"
      "\"rate\":%d,\"dirtied_mib\":%llu,"
      "\"cpu_percent\":%d,\"mem_mib\":%d,\"held_mib\":%d,\"dirty_mib_per_s\":%d,\"auto\":%d,"
      "\"wall_ms\":%llu,\"monotonic_ms\":%llu,\"total_mib\":%d}\n",
      name, (unsigned long long)counter, (unsigned long long)ticks,
      (unsigned long long)atomic_load(&work), (unsigned long long)atomic_load(&dropped),
      atomic_load(&rate), (unsigned long long)atomic_load(&dirtied_pages) / 256,
      atomic_load(&cpu_percent), atomic_load(&mem_mib), atomic_load(&held_mib),
      atomic_load(&dirty_mib_per_s), atomic_load(&auto_seed),
      (unsigned long long)(now_ns(CLOCK_REALTIME) / 1000000),
      (unsigned long long)(now_ns(CLOCK_MONOTONIC) / 1000000), total_mib());
}

// Answers one line. Returns the answer's length; 0 closes the connection.
static int answer(char* line, char* to, size_t bytes) {
  char* value = strchr(line, ' ');
  if (value) *value++ = 0;
  if (!strcmp(line, "count")) return snprintf(to, bytes, "%llu\n", (unsigned long long)++counter);
  if (!strcmp(line, "get")) return describe(to, bytes);
  if (!strcmp(line, "echo")) return snprintf(to, bytes, "%s\n", value ? value : "");
  if (!strcmp(line, "quit")) return 0;
  if (!strcmp(line, "auto")) {
    int seed = value ? bounded(value, 1000000) : 1;
    atomic_store(&auto_seed, seed);
    follow_curve();
    return snprintf(to, bytes, "ok auto %d\n", seed);
  }
  _Atomic int* target = !strcmp(line, "cpu")     ? &cpu_percent
                        : !strcmp(line, "mem")   ? &mem_mib
                        : !strcmp(line, "dirty") ? &dirty_mib_per_s
                        : !strcmp(line, "rate")  ? &rate
                                                 : NULL;
  if (!target || !value)
    return snprintf(to, bytes,
                    "error: count, get, echo TEXT, cpu PERCENT, rate UNITS_PER_S, mem MIB, dirty "
                    "MIB_PER_S, auto SEED, quit\n");
  int most = target == &cpu_percent ? 100
             : target == &mem_mib   ? total_mib()
             : target == &rate      ? kRateMax
                                    : kDirtyPerSecondMiBMax;
  atomic_store(&auto_seed, 0);
  atomic_store(target, bounded(value, most));
  return snprintf(to, bytes, "ok %s %d\n", line, atomic_load(target));
}

struct connection {
  int fd;
  size_t length;
  char line[kLineBytesMax];
};
static struct connection connections[kConnectionsMax];

static void drop(struct connection* c) {
  close(c->fd);
  c->fd = -1;
}

static void serve(struct connection* c) {
  ssize_t n = recv(c->fd, c->line + c->length, sizeof c->line - 1 - c->length, MSG_DONTWAIT);
  if (n <= 0) {
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) drop(c);
    return;
  }
  c->length += (size_t)n;
  for (char* end; (end = memchr(c->line, '\n', c->length));) {
    char reply[kLineBytesMax];
    *end = 0;
    if (end > c->line && end[-1] == '\r') end[-1] = 0;
    int bytes = answer(c->line, reply, sizeof reply);
    if (bytes <= 0 || send(c->fd, reply, (size_t)bytes, MSG_NOSIGNAL) != bytes) {
      drop(c);
      return;
    }
    c->length -= (size_t)(end + 1 - c->line);
    memmove(c->line, end + 1, c->length);
  }
  if (c->length == sizeof c->line - 1) drop(c);  // a line that never ends
}

static void accept_one(int listener, int epoll) {
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  for (int i = 0; i < kConnectionsMax; i++) {
    if (connections[i].fd >= 0) continue;
    connections[i].fd = fd;
    connections[i].length = 0;
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    return;
  }
  close(fd);
}

static void read_settings(bool* ticking) {
  char text[4096] = "";
  int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  if (n <= 0) return;
  *ticking = strstr(text, "chorok.ticks=1") != NULL;
  char* load = strstr(text, "chorok.load=");
  if (!load) return;
  load += strlen("chorok.load=");
  load[strcspn(load, " \n")] = 0;
  char* save = NULL;
  for (char* part = strtok_r(load, ",", &save); part; part = strtok_r(NULL, ",", &save)) {
    char line[64], reply[256];
    snprintf(line, sizeof line, "%s", part);
    char* colon = strchr(line, ':');
    if (colon) *colon = ' ';
    answer(line, reply, sizeof reply);
  }
}

int main(void) {
  bool ticking = false;
  signal(SIGPIPE, SIG_IGN);
  read_settings(&ticking);
  for (int i = 0; i < kConnectionsMax; i++) connections[i].fd = -1;
  pthread_t thread;
  pthread_create(&thread, NULL, burn, NULL);
  pthread_create(&thread, NULL, dirty, NULL);

  int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(kPort)};
  int one = 1, serial = -1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr*)&any, sizeof any) || listen(listener, 16))
    perror("guestload: port 7777");
  // Never blocks on the console: a serial line nobody reads must not stop the clock.
  if (ticking) serial = open("/dev/ttyS0", O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

  int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener};
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  // Ticks on an absolute grid: a late line does not shift those after it. Without ticks the curve
  // needs 1 Hz only.
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  const long interval_ns = ticking ? kTickMs * 1000000L : 0;
  struct itimerspec grid = {.it_interval = {ticking ? 0 : 1, interval_ns},
                            .it_value = {0, 100000000}};
  timerfd_settime(timer, 0, &grid, NULL);
  event.data.ptr = &timer;
  epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event);

  for (;;) {
    struct epoll_event events[16];
    int n = epoll_wait(epoll, events, 16, -1);
    for (int i = 0; i < n; i++) {
      if (events[i].data.ptr == &listener) {
        accept_one(listener, epoll);
      } else if (events[i].data.ptr == &timer) {
        uint64_t expired = 0;
        if (read(timer, &expired, sizeof expired) != sizeof expired) continue;
        ticks += expired;
        follow_curve();
        if (serial >= 0)
          dprintf(serial, "tick %llu %llu %llu counter=%llu\n", (unsigned long long)ticks,
                  (unsigned long long)(now_ns(CLOCK_REALTIME) / 1000000),
                  (unsigned long long)(now_ns(CLOCK_MONOTONIC) / 1000000),
                  (unsigned long long)counter);
      } else {
        struct connection* c = events[i].data.ptr;
        if (c->fd >= 0) serve(c);
      }
    }
  }
}
