/* Cores: what the system grants this process comes in; how many threads have work at once goes out. dfm_cores is
 * public. */
#ifndef DFM_BASE_CORES_H
#define DFM_BASE_CORES_H

/* Cores that quotas of processor time amount to, rounded up: those of the control group (version 2) that `groups`
 * names, as /proc/self/cgroup does, under `root`, and of all above it. INT_MAX: there is none. */
int dfm_quota_cores(const char *groups, const char *root);

#endif
