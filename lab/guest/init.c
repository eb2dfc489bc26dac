// The guest's process 1. It does in one static program what a boot script would do in thirty forks
// (a fork costs 10 ms under TCG): mounts, kernel modules in order, host name, network, the load
// generator, a shell on the serial console, the guest agent, and the power button. Settings come
// from the kernel command line; README.md lists them.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <net/if.h>
#include <net/route.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kCmdlineBytesMax = 4096, kModulesMax = 64, kButtonsMax = 8, kServicesMax = 4 };

static char cmdline[kCmdlineBytesMax];

static void note(const char* what) {  // kernel log: seen on the console only without "quiet"
  int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  dprintf(fd, "<5>guest: %s\n", what);
  close(fd);
}

// The value of KEY= on the kernel command line, or null. The answer lives until the next call.
static const char* setting(const char* key) {
  static char value[256];
  size_t length = strlen(key);
  for (const char* at = cmdline; (at = strstr(at, key)); at += length) {
    if ((at != cmdline && at[-1] != ' ') || at[length] != '=') continue;
    size_t n = strcspn(at + length + 1, " \n");
    if (n >= sizeof value) n = sizeof value - 1;
    memcpy(value, at + length + 1, n);
    value[n] = 0;
    return value;
  }
  return NULL;
}

static void read_file(const char* path, char* to, size_t bytes) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? 0 : read(fd, to, bytes - 1);
  if (fd >= 0) close(fd);
  to[n > 0 ? n : 0] = 0;
}

// /modules/LIST names one module a line, in dependency order; a line "pci:DEVICE[,DEVICE] name" is
// loaded only when the machine has a virtio function with such a device id, which saves what a
// guest does not need.
static bool has_virtio(const char* ids) {
  DIR* dir = opendir("/sys/bus/pci/devices");
  bool found = false;
  for (struct dirent* e; dir && !found && (e = readdir(dir));) {
    char path[300], vendor[16], device[16];
    if (e->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%.64s/vendor", e->d_name);
    read_file(path, vendor, sizeof vendor);
    if (strncmp(vendor, "0x1af4", 6)) continue;
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%.64s/device", e->d_name);
    read_file(path, device, sizeof device);
    device[strcspn(device, "\n")] = 0;
    found = strlen(device) == 6 && strstr(ids, device + 2);
  }
  if (dir) closedir(dir);
  return found;
}

static void load_modules(void) {
  static char list[4096];
  read_file("/modules/LIST", list, sizeof list);
  char* save = NULL;
  int count = 0;
  for (char* line = strtok_r(list, "\n", &save); line && count < kModulesMax;
       line = strtok_r(NULL, "\n", &save), count++) {
    if (!strncmp(line, "pci:", 4)) {
      char* space = strchr(line, ' ');
      if (!space) continue;
      *space = 0;
      if (!has_virtio(line + 4)) continue;
      line = space + 1;
    }
    char path[128];
    snprintf(path, sizeof path, "/modules/%s.ko", line);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST)) note(line);
    if (fd >= 0) close(fd);
  }
}

static pid_t spawn(char* const argv[], const char* tty) {
  pid_t pid = fork();
  if (pid) return pid;
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setsid();
  if (tty) {
    int fd = open(tty, O_RDWR);
    if (fd < 0) _exit(1);
    ioctl(fd, TIOCSCTTY, 1);
    for (int i = 0; i < 3; i++) dup2(fd, i);
    if (fd > 2) close(fd);
  }
  execv(argv[0], argv);
  _exit(127);
}

// ADDRESS/PREFIX[,GATEWAY] (chorok.ip=) by ioctl; without it udhcpc asks for a lease.
static bool static_address(const char* interface, const char* spec) {
  char text[64];
  snprintf(text, sizeof text, "%s", spec);
  char* gateway = strchr(text, ',');
  if (gateway) *gateway++ = 0;
  char* slash = strchr(text, '/');
  int prefix = 24;
  if (slash) {
    *slash = 0;
    prefix = atoi(slash + 1);
  }
  if (prefix < 1 || prefix > 32) return false;
  struct ifreq r = {0};
  snprintf(r.ifr_name, sizeof r.ifr_name, "%s", interface);
  struct sockaddr_in* in = (struct sockaddr_in*)&r.ifr_addr;
  in->sin_family = AF_INET;
  if (inet_pton(AF_INET, text, &in->sin_addr) != 1) return false;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool ok = !ioctl(fd, SIOCSIFADDR, &r);
  in->sin_addr.s_addr = htonl(~0u << (32 - prefix));
  ok = ok && !ioctl(fd, SIOCSIFNETMASK, &r);
  struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
  struct sockaddr_in any = {.sin_family = AF_INET}, via = {.sin_family = AF_INET};
  memcpy(&route.rt_dst, &any, sizeof any);
  memcpy(&route.rt_genmask, &any, sizeof any);
  if (gateway && inet_pton(AF_INET, gateway, &via.sin_addr) == 1) {
    memcpy(&route.rt_gateway, &via, sizeof via);
    ioctl(fd, SIOCADDRT, &route);
  }
  close(fd);
  return ok;
}

static void link_up(const char* interface) {
  struct ifreq r = {0};
  snprintf(r.ifr_name, sizeof r.ifr_name, "%s", interface);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (!ioctl(fd, SIOCGIFFLAGS, &r)) {
    r.ifr_flags |= IFF_UP;
    ioctl(fd, SIOCSIFFLAGS, &r);
  }
  close(fd);
}

// The kernel's own ip=ADDRESS::GATEWAY:MASK:NAME:INTERFACE:off, turned into the short form.
static const char* address_setting(void) {
  static char spec[128];
  const char* own = setting("chorok.ip");
  if (own) {
    snprintf(spec, sizeof spec, "%s", own);
    return spec;
  }
  const char* kernel = setting("ip");
  if (!kernel || !strcmp(kernel, "dhcp")) return NULL;
  char text[256], *fields[8] = {0}, *rest = text;
  snprintf(text, sizeof text, "%s", kernel);
  for (int i = 0; i < 8 && rest; i++) fields[i] = strsep(&rest, ":");
  struct in_addr mask;
  int prefix = 24;
  if (fields[3] && inet_pton(AF_INET, fields[3], &mask) == 1)
    prefix = __builtin_popcount(mask.s_addr);
  bool gateway = fields[2] && *fields[2];
  snprintf(spec, sizeof spec, "%s/%d%s%s", fields[0], prefix, gateway ? "," : "",
           gateway ? fields[2] : "");
  return *fields[0] ? spec : NULL;
}

static void network(void) {
  link_up("lo");
  if (access("/sys/class/net/eth0", F_OK)) return;
  link_up("eth0");
  const char* spec = address_setting();
  if (spec && static_address("eth0", spec)) return;
  if (spec) note("the static address was refused; asking for a lease");
  char* argv[] = {"/bin/busybox", "udhcpc", "-i", "eth0", "-s", "/bin/lease", "-t", "5",
                  "-T",           "1",      "-A", "3",    "-f", "-S",         NULL};
  spawn(argv, "/dev/null");
}

static int open_buttons(struct pollfd* to) {
  int count = 0;
  for (int i = 0; i < kButtonsMax; i++) {
    char path[32];
    snprintf(path, sizeof path, "/dev/input/event%d", i);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) continue;
    unsigned char keys[KEY_MAX / 8 + 1] = {0};
    ioctl(fd, EVIOCGBIT(EV_KEY, sizeof keys), keys);
    if (keys[KEY_POWER / 8] & (1 << (KEY_POWER % 8)))
      to[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    else
      close(fd);
  }
  return count;
}

static void halt(int how) {
  note(how == RB_POWER_OFF ? "power off" : "restart");
  kill(-1, SIGTERM);
  struct timespec grace = {0, 50000000};
  nanosleep(&grace, NULL);
  kill(-1, SIGKILL);
  sync();
  reboot(how);
  for (;;) pause();
}

// chorok.install=/dev/vda: the installer of install.iso. Writes /payload/disk.img and powers off.
static void install(const char* to) {
  static char block[1 << 20];
  int in = open("/payload/disk.img", O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CLOEXEC);
  long long done = 0;
  ssize_t n = 0;
  while (in >= 0 && out >= 0 && (n = read(in, block, sizeof block)) > 0) {
    if (write(out, block, (size_t)n) != n) break;
    done += n;
  }
  bool ok = in >= 0 && out >= 0 && n == 0 && done && !fsync(out);
  if (ok)
    printf("installed: %lld bytes on %s\n", done, to);
  else
    printf("not installed: %s: %s\n", to, strerror(errno));
  fflush(stdout);
  halt(RB_POWER_OFF);
}

struct service {
  char* argv[4];
  const char* tty;
  pid_t pid;
};

int main(void) {
  mount("proc", "/proc", "proc", 0, NULL);
  mount("sys", "/sys", "sysfs", 0, NULL);
  mount("dev", "/dev", "devtmpfs", 0, NULL);
  mkdir("/dev/pts", 0755);
  mount("pts", "/dev/pts", "devpts", 0, NULL);
  mount("tmp", "/tmp", "tmpfs", 0, "size=16m");
  int console = open("/dev/console", O_RDWR);
  for (int i = 0; i < 3 && console >= 0; i++) dup2(console, i);
  if (console > 2) close(console);
  read_file("/proc/cmdline", cmdline, sizeof cmdline);
  setenv("PATH", "/bin", 1);
  setenv("HOME", "/", 1);
  setenv("TERM", "vt100", 1);
  const char* name = setting("chorok.name");
  if (!name) name = setting("hostname");
  if (!name) name = "guest";
  sethostname(name, strlen(name));
  load_modules();
  const char* disk = setting("chorok.install");
  if (disk) install(disk);
  network();

  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, SIGINT);   // ctrl-alt-del
  sigaddset(&signals, SIGTERM);  // busybox reboot
  sigaddset(&signals, SIGUSR1);  // busybox halt
  sigaddset(&signals, SIGUSR2);  // busybox poweroff
  sigprocmask(SIG_BLOCK, &signals, NULL);
  reboot(RB_DISABLE_CAD);

  const char* ticks = setting("chorok.ticks");
  bool ticking = ticks && !strcmp(ticks, "1");
  struct service services[kServicesMax] = {{.argv = {"/bin/guestload"}}};
  int count = 1;
  if (!ticking)
    services[count++] = (struct service){.argv = {"/bin/busybox", "sh", "-l"}, .tty = "/dev/ttyS0"};
  if (!access("/dev/virtio-ports/org.qemu.guest_agent.0", F_OK) || has_virtio("1003,1043"))
    services[count++] = (struct service){.argv = {"/bin/guestagent"}};
  for (int i = 0; i < count; i++) services[i].pid = spawn(services[i].argv, services[i].tty);

  struct pollfd polled[kButtonsMax + 1];
  int buttons = open_buttons(polled);
  polled[buttons] = (struct pollfd){.fd = signalfd(-1, &signals, SFD_CLOEXEC), .events = POLLIN};
  for (;;) {
    if (poll(polled, buttons + 1, -1) < 0) continue;
    for (int i = 0; i < buttons; i++) {
      struct input_event event;
      while (read(polled[i].fd, &event, sizeof event) == sizeof event)
        if (event.type == EV_KEY && event.code == KEY_POWER && event.value) halt(RB_POWER_OFF);
    }
    struct signalfd_siginfo info;
    if (!(polled[buttons].revents & POLLIN) ||
        read(polled[buttons].fd, &info, sizeof info) != sizeof info)
      continue;
    if (info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM) halt(RB_AUTOBOOT);
    if (info.ssi_signo == SIGUSR1 || info.ssi_signo == SIGUSR2) halt(RB_POWER_OFF);
    for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;)
      for (int i = 0; i < count; i++)
        if (services[i].pid == pid && services[i].tty)  // a shell that was left starts again
          services[i].pid = spawn(services[i].argv, services[i].tty);
  }
}
