// endpid [-SIGNAL] PID...: sends SIGKILL (or the signal) to each process and waits, at most 10 s,
// until all are gone. It waits on process descriptors, so it neither polls nor hits a process that
// took over the number meanwhile.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { kProcessesMax = 4096, kWaitMsMax = 10000 };

static long long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(int argc, char** argv) {
  static struct pollfd polled[kProcessesMax];
  int count = 0, number = SIGKILL, first = 1;
  if (argc > 1 && argv[1][0] == '-') number = atoi(argv[first++] + 1);
  for (int i = first; i < argc && count < kProcessesMax; i++) {
    int pid = atoi(argv[i]);
    if (pid <= 1 || pid == getpid()) continue;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) continue;  // gone already
    if (syscall(SYS_pidfd_send_signal, fd, number, NULL, 0)) {
      close(fd);
      continue;
    }
    polled[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
  }
  const long long deadline = now_ms() + kWaitMsMax;
  for (int i = 0; i < count; i++) {
    long long left = deadline - now_ms();
    if (poll(&polled[i], 1, left > 0 ? (int)left : 0) != 1) {
      fprintf(stderr, "endpid: a process did not end in %d ms\n", kWaitMsMax);
      return 1;
    }
  }
  return 0;
}
