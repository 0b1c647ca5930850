import CLinux
import Glibc

/// Keeps keys inside the process.
enum ProcessHardening {
    /// No core dumps, and no attaching debugger without privileges: both would carry keys out.
    static func apply() {
        // This also gives /proc/self to root, which a gateway does not mind.
        _ = sluice_forbid_dumps()
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
    }

    /// One descriptor per queue, ring and event; the default soft limit of 1024 is for `select`.
    static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
