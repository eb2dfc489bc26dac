// A module of ipmi_sim: the power meter of a lab host's BMC. Once a second it looks at the CPU time
// of the host's cgroup and turns the load into watts by the host's power curve; DCMI's Get Power
// Reading (group extension 0xDC, command 2) answers with them. As with real meters, what it says is
// wrong by up to 5 %: a gain of its own per BMC and a little noise, both from a seed. Nobody is
// told the error.
//
// Options, in one string: cgroup=DIR cores=N curve=W0,W10,...,W100 standby=W seed=N dark=FILE
// out=FILE quirks=FILE. While DIR is missing the host has no power (standby), unless `dark` exists:
// then it has power and runs nothing. `out` holds "TRUE_W TRUE_J SAID_W SECONDS", for a test to
// compare with and for the Redfish service, which has the same sensor. A line watts=FACTOR in
// `quirks` makes it lie.
#include <OpenIPMI/mcserv.h>
#include <OpenIPMI/serv.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { kPoints = 11, kPathMax = 512, kDcmi = 0xdc, kGetPowerReading = 2 };

static struct {
  char cgroup[kPathMax], dark[kPathMax], out[kPathMax], quirks[kPathMax];
  double cores, watts[kPoints], standby;
  uint64_t random;
} config = {.cores = 1};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
  double said, least, most, sum;
  uint32_t seconds;
} shown = {.least = 1e9};  // guarded by mutex

static double unit(void) {  // splitmix64
  uint64_t z = config.random += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (double)((z ^ (z >> 31)) >> 11) * 0x1.0p-53;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// Seconds of CPU time, or -1 where there is no host. Version 1 has cpuacct.usage, version 2
// cpu.stat.
static double cpu_seconds(void) {
  char path[kPathMax + 32], line[128];
  unsigned long long value;
  double result = -1;
  snprintf(path, sizeof path, "%s/cpuacct.usage", config.cgroup);
  FILE* file = fopen(path, "re");
  if (file) {
    if (fscanf(file, "%llu", &value) == 1) result = (double)value * 1e-9;
    fclose(file);
    return result;
  }
  snprintf(path, sizeof path, "%s/cpu.stat", config.cgroup);
  file = fopen(path, "re");
  if (!file) return -1;
  while (fgets(line, sizeof line, file))
    if (sscanf(line, "usage_usec %llu", &value) == 1) result = (double)value * 1e-6;
  fclose(file);
  return result;
}

static double at_load(double load) {
  const double x = (load < 0 ? 0 : load > 1 ? 1 : load) * (kPoints - 1);
  const int below = x >= kPoints - 1 ? kPoints - 2 : (int)x;
  return config.watts[below] + (config.watts[below + 1] - config.watts[below]) * (x - below);
}

static double lie(void) {
  char line[128];
  double factor = 1;
  FILE* file = fopen(config.quirks, "re");
  if (!file) return 1;
  while (fgets(line, sizeof line, file))
    if (sscanf(line, "watts=%lf", &factor) == 1) break;
  fclose(file);
  return factor;
}

static void* sample(void* unused) {
  (void)unused;
  const double gain = 1 + 0.04 * (2 * unit() - 1);
  double joules = 0, said_joules = 0, seconds = 0, cpu_before = cpu_seconds(), before = now();
  char fresh[kPathMax + 8];
  snprintf(fresh, sizeof fresh, "%s.new", config.out);
  for (;;) {
    sleep(1);
    const double cpu = cpu_seconds(), at = now(), passed = at - before;
    double watts = config.standby;
    // A counter below what it was is that of another boot.
    const double used = cpu < 0 ? 0 : cpu >= cpu_before && cpu_before >= 0 ? cpu - cpu_before : cpu;
    if (cpu >= 0 || access(config.dark, F_OK) == 0) watts = at_load(used / config.cores / passed);
    joules += watts * passed;
    seconds += passed;
    cpu_before = cpu;
    before = at;
    const double said = watts * gain * (1 + 0.01 * (2 * unit() - 1)) * lie();
    said_joules += said * passed;
    pthread_mutex_lock(&mutex);
    shown.said = said;
    if (said < shown.least) shown.least = said;
    if (said > shown.most) shown.most = said;
    shown.sum += said;
    shown.seconds++;
    pthread_mutex_unlock(&mutex);
    FILE* file = fopen(fresh, "we");
    if (!file) continue;
    fprintf(file, "%.2f %.1f %.2f %.1f %.1f\n", watts, joules, said, said_joules, seconds);
    fclose(file);
    rename(fresh, config.out);
  }
  return NULL;
}

static unsigned char* put(unsigned char* at, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; i++) *at++ = (unsigned char)(value >> (8 * i));
  return at;
}

static void group_extension(lmc_data_t* mc, msg_t* msg, unsigned char* rdata, unsigned int* length,
                            void* unused) {
  (void)mc;
  (void)unused;
  rdata[1] = kDcmi;
  *length = 2;
  if (msg->cmd != kGetPowerReading) {
    rdata[0] = 0xc1;  // no such command
    return;
  }
  rdata[0] = 0;
  pthread_mutex_lock(&mutex);
  const uint32_t count = shown.seconds ? shown.seconds : 1;
  unsigned char* at = rdata + 2;
  at = put(at, (uint32_t)(shown.said + 0.5), 2);
  at = put(at, shown.seconds ? (uint32_t)(shown.least + 0.5) : 0, 2);
  at = put(at, (uint32_t)(shown.most + 0.5), 2);
  at = put(at, (uint32_t)(shown.sum / count + 0.5), 2);
  at = put(at, (uint32_t)time(NULL), 4);
  at = put(at, 1000 * shown.seconds, 4);  // the statistics reach back so many milliseconds
  *at++ = shown.seconds ? 0x40 : 0;       // measurement is active
  pthread_mutex_unlock(&mutex);
  *length = (unsigned int)(at - rdata);
}

static int read_option(const char* key, const char* value) {
  char* paths[] = {config.cgroup, config.dark, config.out, config.quirks};
  const char* names[] = {"cgroup", "dark", "out", "quirks"};
  for (int i = 0; i < 4; i++)
    if (!strcmp(key, names[i])) return snprintf(paths[i], kPathMax, "%s", value) >= kPathMax;
  if (!strcmp(key, "cores")) return (config.cores = atof(value)) <= 0;
  if (!strcmp(key, "standby")) return (config.standby = atof(value)) < 0;
  if (!strcmp(key, "seed")) return (config.random = strtoull(value, NULL, 10)) == 0;
  if (strcmp(key, "curve") != 0) return 1;
  for (int i = 0; i < kPoints; i++) {
    char* end;
    config.watts[i] = strtod(value, &end);
    if (end == value || *end != (i < kPoints - 1 ? ',' : 0)) return 1;
    value = end + 1;
  }
  return 0;
}

int ipmi_sim_module_print_version(sys_data_t* sys, char* options) {
  (void)sys;
  (void)options;
  puts("bmcmeter 1");
  return 0;
}

int ipmi_sim_module_init(sys_data_t* sys, const char* options) {
  (void)sys;
  char* copy = strdup(options);
  for (char* part = strtok(copy, " "); part; part = strtok(NULL, " ")) {
    char* equals = strchr(part, '=');
    if (equals) *equals++ = 0;
    if (!equals || read_option(part, equals)) {
      fprintf(stderr, "bmcmeter: bad option '%s'\n", part);
      return 22;
    }
  }
  free(copy);
  ipmi_emu_register_group_extension_handler(kDcmi, group_extension, NULL);
  pthread_t thread;
  return pthread_create(&thread, NULL, sample, NULL);
}
