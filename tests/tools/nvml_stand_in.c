/* A stand-in for NVIDIA's libnvidia-ml.so with two cards, the second cut into two MIG instances.
 *
 * Structures, numbers and names are those of nvml.h. What it plays is in a file `control` beside the library, read at
 * every call, a word each:
 *   gone         the driver is not loaded
 *   lost=N       card N fell off the bus
 *   fewer        only the first card is listed
 *   without0     only the second card is listed, with the number of the first
 *   hang         the utilisation of a card is not answered until the word is gone
 *   xid=S,N,X    card N reports the error X; told once for each S, which grows
 *   pid=P        the process on the first card (4242 otherwise)
 *   hot          the first card is throttled by heat and power, and has a row to be remapped
 *   brake        the first card is braked by its power supply
 *   worn         a row of the first card could not be remapped
 *   full         the first card's memory is nearly all in use
 *   live         energy, clocks and errors grow with time
 *   errors=N     errors and throttling stand at N, and do not grow with time
 *   busy=N       the utilisation of the first card, percent (75 otherwise)
 * Compiled with -DOLD it lacks what older libraries lack.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
       DRIVER_NOT_LOADED = 9, TIMEOUT = 10, GPU_IS_LOST = 15 };
typedef unsigned int u32;
typedef unsigned long long u64;
typedef struct { int card; int instance; } Device; /* instance -1: the card itself */
typedef struct { u32 gpu, memory; } Utilization;
typedef struct { u32 version; u64 total, reserved, free, used; } Memory;
typedef struct { char legacy[16]; u32 domain, bus, device, id, subsystem; char bus_id[32]; } Pci;
typedef struct { u32 pid; u64 used; u32 gpu_instance, compute_instance; } Process;
typedef struct { u64 reference, violation; } Violation;
typedef struct { u32 field, scope; long long timestamp, latency; u32 type; int result; union { double d; u32 u; u64 ull; } value; } Field;
typedef struct { Device *device; u64 type, data; u32 gpu_instance, compute_instance; } Event;

static Device cards[2] = { { 0, -1 }, { 1, -1 } };
static Device instances[2] = { { 1, 0 }, { 1, 1 } };
static const u64 GIB = 1ULL << 30;
static int told;

static const char *control(void) {
    static __thread char text[512];
    static char path[4096];
    if (!path[0]) {
        Dl_info info;
        dladdr((void *)control, &info);
        strncpy(path, info.dli_fname, sizeof path - 16);
        char *end = strrchr(path, '/');
        strcpy(end ? end + 1 : path, "control");
    }
    FILE *file = fopen(path, "r");
    size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    text[length] = 0;
    return text;
}
static int plays(const char *word) { return strstr(control(), word) != NULL; }
static int number(const char *word, int otherwise) {
    const char *at = strstr(control(), word);
    return at ? atoi(at + strlen(word)) : otherwise;
}
static u64 now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}
static u64 grown(void) {
    int errors = number("errors=", -1);
    return errors >= 0 ? errors * 100ULL : plays("live") ? now_ms() / 10 % 1000000000ULL : 0;
}

static int state(const Device *device) {
    if (plays("gone")) return UNINITIALIZED;
    if (device && number("lost=", -1) == device->card) return GPU_IS_LOST;
    return OK;
}
#define CHECK(device) do { int s = state(device); if (s) return s; } while (0)
#define CARD_ONLY(device) do { CHECK(device); if (device->instance >= 0) return NOT_SUPPORTED; } while (0)

int nvmlInit_v2(void) { return plays("gone") ? DRIVER_NOT_LOADED : OK; }
int nvmlShutdown(void) { return OK; }
int nvmlSystemGetDriverVersion(char *out, u32 n) { CHECK(NULL); snprintf(out, n, "550.54.14"); return OK; }
int nvmlSystemGetCudaDriverVersion_v2(int *out) { CHECK(NULL); *out = 12040; return OK; }
int nvmlDeviceGetCount_v2(u32 *out) { CHECK(NULL); *out = plays("fewer") || plays("without0") ? 1 : 2; return OK; }
int nvmlDeviceGetHandleByIndex_v2(u32 i, Device **out) {
    if (plays("without0")) i++;
    if (i > 1) return INVALID_ARGUMENT;
    CHECK(&cards[i]);
    *out = &cards[i];
    return OK;
}
int nvmlDeviceGetUUID(Device *d, char *out, u32 n) {
    CHECK(d);
    if (d->instance < 0) snprintf(out, n, "GPU-%08d-aaaa-bbbb-cccc-000000000000", d->card);
    else snprintf(out, n, "MIG-%08d-aaaa-bbbb-cccc-000000000000", d->instance);
    return OK;
}
int nvmlDeviceGetName(Device *d, char *out, u32 n) {
    CHECK(d);
    const char *name = d->card ? "NVIDIA A100-SXM4-40GB" : "NVIDIA H100 80GB HBM3";
    if (d->instance < 0) snprintf(out, n, "%s", name);
    else snprintf(out, n, "%s MIG %s", name, d->instance ? "2g.10gb" : "1g.5gb");
    return OK;
}
int nvmlDeviceGetPciInfo_v3(Device *d, Pci *out) {
    CHECK(d);
    memset(out, 0, sizeof *out);
    out->bus = d->card + 1;
    snprintf(out->bus_id, sizeof out->bus_id, "00000000:%02X:00.0", d->card + 1);
    return OK;
}
int nvmlDeviceGetMinorNumber(Device *d, u32 *out) { CARD_ONLY(d); *out = d->card; return OK; }
int nvmlDeviceGetUtilizationRates(Device *d, Utilization *out) {
    while (plays("hang")) usleep(5000);
    CHECK(d);
    if (d->card) return NOT_SUPPORTED; /* as with MIG */
    out->gpu = number("busy=", 75);
    out->memory = 40;
    return OK;
}
int nvmlDeviceGetPowerUsage(Device *d, u32 *out) { CARD_ONLY(d); *out = d->card ? 100500 : 350250; return OK; }
int nvmlDeviceGetEnforcedPowerLimit(Device *d, u32 *out) { CARD_ONLY(d); *out = d->card ? 400000 : 700000; return OK; }
int nvmlDeviceGetTemperature(Device *d, u32 s, u32 *out) { (void)s; CARD_ONLY(d); *out = d->card ? 41 : 63; return OK; }
int nvmlDeviceGetTemperatureThreshold(Device *d, u32 t, u32 *out) {
    CARD_ONLY(d);
    static const u32 of[4] = { 95, 92, 95, 87 };
    if (t > 3) return NOT_SUPPORTED;
    *out = of[t];
    return OK;
}
int nvmlDeviceGetFanSpeed_v2(Device *d, u32 fan, u32 *out) {
    (void)fan;
    CARD_ONLY(d);
    if (d->card) return NOT_SUPPORTED;
    *out = 30;
    return OK;
}
int nvmlDeviceGetClockInfo(Device *d, u32 clock, u32 *out) {
    CARD_ONLY(d);
    static const u32 of[4] = { 1980, 1980, 2619, 1545 };
    if (clock > 3) return INVALID_ARGUMENT;
    *out = of[clock];
    return OK;
}
int nvmlDeviceGetMaxClockInfo(Device *d, u32 clock, u32 *out) { return nvmlDeviceGetClockInfo(d, clock, out); }
int nvmlDeviceGetPerformanceState(Device *d, u32 *out) { CARD_ONLY(d); *out = 0; return OK; }
int nvmlDeviceGetCurrentClocksThrottleReasons(Device *d, u64 *out) {
    CARD_ONLY(d);
    *out = d->card ? 0x1 : plays("hot") ? 0x24 : plays("brake") ? 0x80 : 0; /* idle; power cap and software thermal; power brake */
    return OK;
}
int nvmlDeviceGetEncoderUtilization(Device *d, u32 *u, u32 *p) { CARD_ONLY(d); *u = 5; *p = 1000; return OK; }
int nvmlDeviceGetDecoderUtilization(Device *d, u32 *u, u32 *p) { CARD_ONLY(d); *u = 10; *p = 1000; return OK; }
int nvmlDeviceGetEccMode(Device *d, u32 *now, u32 *next) { CARD_ONLY(d); *now = *next = 1; return OK; }
int nvmlDeviceGetTotalEccErrors(Device *d, u32 kind, u32 counter, u64 *out) {
    CARD_ONLY(d);
    *out = (kind ? 0 : 2) + counter + (d->card ? 0 : grown() / 100);
    return OK;
}
int nvmlDeviceGetRetiredPages(Device *d, u32 cause, u32 *count, u64 *pages) {
    (void)pages;
    CARD_ONLY(d);
    if (!d->card) return NOT_SUPPORTED; /* it remaps rows */
    *count = cause ? 0 : 1;
    return OK;
}
int nvmlDeviceGetRetiredPages_v2(Device *d, u32 cause, u32 *count, u64 *pages, u64 *times) {
    CARD_ONLY(d);
    if (!d->card || cause) return NOT_SUPPORTED;
    *count = 1;
    pages[0] = 1;
    times[0] = 0;
    return OK;
}
int nvmlDeviceGetRetiredPagesPendingStatus(Device *d, u32 *out) {
    CARD_ONLY(d);
    if (!d->card) return NOT_SUPPORTED;
    *out = 0;
    return OK;
}
int nvmlDeviceGetCurrPcieLinkGeneration(Device *d, u32 *out) { CARD_ONLY(d); *out = 5; return OK; }
int nvmlDeviceGetMaxPcieLinkGeneration(Device *d, u32 *out) { CARD_ONLY(d); *out = 5; return OK; }
int nvmlDeviceGetCurrPcieLinkWidth(Device *d, u32 *out) { CARD_ONLY(d); *out = d->card ? 8 : 16; return OK; }
int nvmlDeviceGetMaxPcieLinkWidth(Device *d, u32 *out) { CARD_ONLY(d); *out = 16; return OK; }
int nvmlDeviceGetPcieReplayCounter(Device *d, u32 *out) { CARD_ONLY(d); *out = 7 + (u32)(grown() / 100); return OK; }
int nvmlDeviceGetPcieThroughput(Device *d, u32 counter, u32 *out) { CARD_ONLY(d); *out = counter ? 2000 : 1000; return OK; }
int nvmlDeviceGetNvLinkState(Device *d, u32 link, u32 *out) {
    CARD_ONLY(d);
    if (d->card || link > 1) return NOT_SUPPORTED;
    *out = link == 0;
    return OK;
}
int nvmlDeviceGetNvLinkErrorCounter(Device *d, u32 link, u32 counter, u64 *out) {
    CARD_ONLY(d);
    *out = link * 10 + counter + grown() / 100;
    return OK;
}
static int processes(Device *d, u32 *count, Process *out) {
    CHECK(d);
    int in_instance = d->instance == 0;
    if (d->card && !in_instance) { *count = 0; return OK; }
    if (*count < 1 || !out) { *count = 1; return INSUFFICIENT_SIZE; }
    *count = 1;
    out->pid = in_instance ? 4343 : (u32)number("pid=", 4242);
    out->used = (in_instance ? 1 : 20) * GIB;
    out->gpu_instance = in_instance ? 9 : 0xFFFFFFFF;
    out->compute_instance = in_instance ? 0 : 0xFFFFFFFF;
    return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(Device *d, u32 *count, Process *out) { return processes(d, count, out); }
int nvmlDeviceGetGraphicsRunningProcesses_v3(Device *d, u32 *count, Process *out) { (void)out; CHECK(d); *count = 0; return OK; }

#ifndef OLD
int nvmlDeviceGetMemoryInfo_v2(Device *d, Memory *out) {
    CHECK(d);
    u64 of[4] = { 80 * GIB, 40 * GIB, 5 * GIB, 10 * GIB };
    out->total = of[d->instance < 0 ? d->card : 2 + d->instance];
    out->reserved = GIB / 2;
    out->used = !d->card && plays("full") ? out->total - out->reserved - out->total / 25 : out->total / 4;
    out->free = out->total - out->reserved - out->used;
    return OK;
}
int nvmlDeviceGetTotalEnergyConsumption(Device *d, u64 *out) {
    CARD_ONLY(d);
    /* 100 W, and 700 W more in the first half of every four seconds. */
    u64 ms = plays("live") ? now_ms() % 1000000000ULL : 0, busy = ms / 4000 * 2000 + (ms % 4000 < 2000 ? ms % 4000 : 2000);
    *out = (d->card ? 200000250ULL : 500000750ULL) + ms * 100 + busy * 700;
    return OK;
}
int nvmlDeviceGetViolationStatus(Device *d, u32 policy, Violation *out) {
    CARD_ONLY(d);
    if (policy > 5 || policy == 4) return NOT_SUPPORTED;
    out->reference = 0;
    out->violation = (policy + 1) * 1500000000ULL + grown() * 1000000ULL;
    return OK;
}
int nvmlDeviceGetFieldValues(Device *d, int count, Field *fields) {
    CARD_ONLY(d);
    for (int i = 0; i < count; i++) {
        fields[i].result = OK;
        fields[i].type = 1;
        switch (fields[i].field) {
        case 82: fields[i].value.u = d->card ? 0 : 71; break;
        case 142: fields[i].value.u = 3; break;
        case 143: fields[i].value.u = 1; break;
        case 144: fields[i].value.u = !d->card && plays("hot"); break;
        case 145: fields[i].value.u = !d->card && plays("worn"); break;
        default: fields[i].result = NOT_SUPPORTED;
        }
    }
    return OK;
}
int nvmlDeviceGetMigMode(Device *d, u32 *now, u32 *next) { CARD_ONLY(d); *now = *next = d->card; return OK; }
int nvmlDeviceGetMaxMigDeviceCount(Device *d, u32 *out) { CARD_ONLY(d); *out = d->card ? 7 : 0; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(Device *d, u32 i, Device **out) {
    CARD_ONLY(d);
    if (!d->card || i > 1) return NOT_FOUND;
    *out = &instances[i];
    return OK;
}
int nvmlDeviceGetSupportedEventTypes(Device *d, u64 *out) { CARD_ONLY(d); *out = 8; return OK; }
int nvmlDeviceRegisterEvents(Device *d, u64 types, void *set) { (void)types; (void)set; CARD_ONLY(d); return OK; }
int nvmlEventSetCreate(void **out) { CHECK(NULL); *out = &told; return OK; }
int nvmlEventSetFree(void *set) { (void)set; return OK; }
int nvmlEventSetWait_v2(void *set, Event *out, u32 timeout) {
    (void)set;
    for (u64 end = now_ms() + timeout; now_ms() < end; usleep(5000)) {
        if (plays("gone")) return UNINITIALIZED;
        const char *at = strstr(control(), "xid=");
        int serial, card, xid;
        if (at && sscanf(at, "xid=%d,%d,%d", &serial, &card, &xid) == 3 && serial > told) {
            told = serial;
            memset(out, 0, sizeof *out);
            out->device = &cards[card];
            out->type = 8;
            out->data = xid;
            return OK;
        }
    }
    return TIMEOUT;
}
#endif
