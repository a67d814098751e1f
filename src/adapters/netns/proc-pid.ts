/** Parsers of /proc/<pid>/{cgroup,stat}. */

/**
 * Pod UIDs in cgroup paths, as the drivers of kubelet write them (pkg/kubelet/cm): cgroupfs `/kubepods/burstable/pod<uid>/<id>`,
 * systemd `…-pod<uid with _>.slice/cri-containerd-<id>.scope`; below another cgroup namespace `/../../pod<uid>/<id>`.
 */
const POD = /[/-]pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})(?=[./:]|$)/gm;

/** Every pod UID named in the text of /proc/<pid>/cgroup, with dashes. A path may nest pods; the caller verifies by address. */
export function podUidsOf(cgroup: string): readonly string[] {
  return [...new Set(Array.from(cgroup.matchAll(POD), ([, uid = '']) => uid.replaceAll('_', '-')))];
}

/** Start time in clock ticks since boot, from the text of /proc/<pid>/stat; undefined when it cannot be read. */
export function startTicksOf(stat: string): number | undefined {
  // The second field is the program's name in parentheses, which may itself hold spaces and parentheses; start time is field 22.
  const field = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return field !== undefined && stat.includes(')') && /^\d+$/.test(field) ? Number(field) : undefined;
}
