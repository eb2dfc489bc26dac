// Starts one host of the lab and stays as its process 1. A host is a set of namespaces (PID, mount,
// network, UTS, IPC, cgroup) around a boot script: killing its process 1 is a power cut, because
// the kernel then kills every process of the PID namespace at once, and every mount goes with the
// last of them.
//
//   hostinit --name N --netns FILE --dir DIR --shared DIR --pid-file FILE [--cgroup DIR]... --
//   BOOT-SCRIPT [ARG]...
//
// What a host keeps over a power cut lies in --dir and is bound to the paths in kKept. All else
// that it writes under /etc, /var and /srv goes to an overlay in memory, so nothing reaches the
// machine's own files. The first process returns when the boot script has written a byte to
// descriptor 3, or fails when that took longer than a minute.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kCgroupsMax = 8, kBootMsMax = 60000, kPathMax = 512 };

static const char* const kKept[][2] = {
    {"etc-libvirt", "/etc/libvirt"},         {"var-lib-libvirt", "/var/lib/libvirt"},
    {"var-log-libvirt", "/var/log/libvirt"}, {"var-cache-libvirt", "/var/cache/libvirt"},
    {"etc-chorok", "/etc/chorok"},           {"var-lib-chorok", "/var/lib/chorok"},
    {"var-lib-chorok-agent", "/var/lib/chorok-agent"},
    {"var-log-chorok", "/var/log/chorok"},   {"local", "/srv/chorok/local"},
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char* format, ...) {
  int error = errno;
  va_list args;
  va_start(args, format);
  fputs("hostinit: ", stderr);
  vfprintf(stderr, format, args);
  va_end(args);
  fprintf(stderr, ": %s\n", strerror(error));
  exit(1);
}

static void write_file(const char* path, const char* text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  ssize_t length = (ssize_t)strlen(text);
  if (fd < 0 || write(fd, text, (size_t)length) != length) die("cannot write %s", path);
  close(fd);
}

static void make_dirs(const char* path) {
  char part[kPathMax];
  for (const char* at = path + 1; at; at = strchr(at + 1, '/')) {
    snprintf(part, sizeof part, "%.*s", (int)(at - path), path);
    if (*at == '/' && mkdir(part, 0755) && errno != EEXIST) die("cannot make %s", part);
  }
  if (mkdir(path, 0755) && errno != EEXIST) die("cannot make %s", path);
}

static void mount_or_die(const char* from, const char* to, const char* type, unsigned long flags,
                         const char* options) {
  if (mount(from, to, type, flags, options)) die("cannot mount %s on %s", from, to);
}

static void overlay(const char* path, const char* name) {
  char upper[64], work[64], options[256];
  snprintf(upper, sizeof upper, "/run/.lab/%s", name);
  snprintf(work, sizeof work, "/run/.lab/%s.work", name);
  make_dirs(upper);
  make_dirs(work);
  snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s", path, upper, work);
  mount_or_die("overlay", path, "overlay", 0, options);
}

// The controllers this host has a cgroup in, seen from its own cgroup namespace: its cgroup is the
// root. Libvirt puts guests under /machine, which therefore stays within the host's limits.
static void mount_cgroups(char* const names[], int count, bool unified) {
  if (unified) {
    mount_or_die("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL);
    write_file("/sys/fs/cgroup/cgroup.subtree_control", "+cpu +memory");
    return;
  }
  mount_or_die("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, "mode=755");
  for (int i = 0; i < count; i++) {
    char path[128];
    snprintf(path, sizeof path, "/sys/fs/cgroup/%s", names[i]);
    make_dirs(path);
    mount_or_die("cgroup", path, "cgroup", 0, names[i]);
  }
}

static void new_root(const char* dir_path, const char* shared_path, const char* name,
                     char* const controllers[], int count, bool unified) {
  mount_or_die("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
  // Opened here: a descriptor from before the namespace, or a path from after the overlays, names
  // another mount.
  const int dir = open(dir_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  const int shared = open(shared_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0 || shared < 0) die("cannot open %s or %s", dir_path, shared_path);
  mount_or_die("proc", "/proc", "proc", 0, NULL);
  mount_or_die("sysfs", "/sys", "sysfs", 0, NULL);
  mount_cgroups(controllers, count, unified);
  mount_or_die("tmpfs", "/run", "tmpfs", 0, "mode=755");
  make_dirs("/run/lock");
  overlay("/etc", "etc");
  overlay("/var", "var");
  overlay("/srv", "srv");
  char from[kPathMax];
  for (size_t i = 0; i < sizeof kKept / sizeof *kKept; i++) {
    if (mkdirat(dir, kKept[i][0], 0755) && errno != EEXIST) die("cannot make %s", kKept[i][0]);
    snprintf(from, sizeof from, "/proc/self/fd/%d/%s", dir, kKept[i][0]);
    make_dirs(kKept[i][1]);
    mount_or_die(from, kKept[i][1], NULL, MS_BIND, NULL);
  }
  snprintf(from, sizeof from, "/proc/self/fd/%d", shared);
  make_dirs("/srv/chorok/shared");
  mount_or_die(from, "/srv/chorok/shared", NULL, MS_BIND | MS_REC, NULL);

  // What tells one machine, and one boot, from another.
  snprintf(from, sizeof from, "/proc/self/fd/%d/machine-id", dir);
  write_file("/etc/machine-id", "");
  mount_or_die(from, "/etc/machine-id", NULL, MS_BIND, NULL);
  int boot = open("/proc/sys/kernel/random/uuid", O_RDONLY | O_CLOEXEC);
  char id[64] = "";
  if (boot < 0 || read(boot, id, sizeof id - 1) < 36) die("no boot id");
  close(boot);
  write_file("/run/.lab/boot_id", id);
  mount_or_die("/run/.lab/boot_id", "/proc/sys/kernel/random/boot_id", NULL, MS_BIND, NULL);
  write_file("/etc/hostname", name);
  if (sethostname(name, strlen(name))) die("cannot set the host name");
}

static void stop(int signal) {
  (void)signal;
  _exit(0);  // process 1 ends, and with it the host
}

int main(int argc, char** argv) {
  const char *name = NULL, *netns = NULL, *dir = NULL, *shared = NULL, *pid_file = NULL;
  const char* cgroups[kCgroupsMax];
  char* controllers[kCgroupsMax];
  int count = 0, at = 1;
  for (; at + 1 < argc && strcmp(argv[at], "--"); at += 2) {
    const char* key = argv[at];
    char* value = argv[at + 1];
    if (!strcmp(key, "--name")) name = value;
    if (!strcmp(key, "--netns")) netns = value;
    if (!strcmp(key, "--dir")) dir = value;
    if (!strcmp(key, "--shared")) shared = value;
    if (!strcmp(key, "--pid-file")) pid_file = value;
    if (!strcmp(key, "--cgroup") &&
        count < kCgroupsMax) {  // CONTROLLERS=DIR; "unified=DIR" for version 2
      char* equals = strchr(value, '=');
      if (!equals) continue;
      *equals = 0;
      controllers[count] = value;
      cgroups[count++] = equals + 1;
    }
  }
  if (!name || !netns || !dir || !shared || !pid_file || at + 1 >= argc) {
    fputs("usage: see the head of hostinit.c\n", stderr);
    return 2;
  }
  const bool unified = count == 1 && !strcmp(controllers[0], "unified");

  for (int i = 0; i < count; i++) {
    char path[kPathMax];
    snprintf(path, sizeof path, "%s/cgroup.procs", cgroups[i]);
    write_file(path, "0");
  }
  int net = open(netns, O_RDONLY | O_CLOEXEC);
  if (net < 0 || setns(net, CLONE_NEWNET)) die("cannot enter %s", netns);
  if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP | CLONE_NEWPID))
    die("cannot make namespaces");
  if (unified) {  // a cgroup with processes cannot hand its controllers down: they all live in a
                  // leaf
    char path[kPathMax];
    snprintf(path, sizeof path, "%s/init", cgroups[0]);
    make_dirs(path);
    snprintf(path, sizeof path, "%s/init/cgroup.procs", cgroups[0]);
    write_file(path, "0");
  }

  // Opened here: the child covers /run in the namespace that both live in, at any moment after the
  // fork.
  const int pid_fd = open(pid_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (pid_fd < 0) die("cannot open %s", pid_file);
  int ready[2];
  if (pipe(ready)) die("no pipe");
  pid_t pid = fork();
  if (pid < 0) die("cannot fork");
  if (pid) {
    close(ready[1]);
    char text[16];
    snprintf(text, sizeof text, "%d\n", pid);
    if (write(pid_fd, text, strlen(text)) < 0) die("cannot write %s", pid_file);
    close(pid_fd);
    struct pollfd p = {.fd = ready[0], .events = POLLIN};
    int answered = poll(&p, 1, kBootMsMax);
    char byte;
    if (answered == 1 && read(ready[0], &byte, 1) == 1) return 0;
    fprintf(stderr, "hostinit: %s %s\n", name,
            answered ? "did not boot" : "took longer than a minute to boot");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return 1;
  }

  setsid();
  signal(SIGTERM, stop);
  signal(SIGHUP, SIG_IGN);
  close(ready[0]);
  new_root(dir, shared, name, controllers, count, unified);
  if (chdir("/")) die("no root");
  pid_t boot = fork();
  if (!boot) {
    if (ready[1] != 3 && (dup2(ready[1], 3) < 0 || close(ready[1]))) _exit(1);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    clearenv();
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setenv("HOME", "/root", 1);
    execv(argv[at + 1], argv + at + 1);
    _exit(127);
  }
  close(ready[1]);
  for (;;) {
    int status;
    pid_t ended = waitpid(-1, &status, 0);
    if (ended == boot && status) return 1;  // no boot, no host
    if (ended < 0 && errno == ECHILD) pause();
  }
}
