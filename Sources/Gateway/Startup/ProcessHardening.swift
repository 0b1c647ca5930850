import CLinux
import Glibc

/// Keeps keys inside the process.
enum ProcessHardening {
    /// Keys out of core dumps, out of debuggers without privileges, and out of swap space, wherever in the process they are: in
    /// blocks of our own, in libcrypto's heap (key schedules, GCM tables, private keys) or on a stack.
    ///
    /// To be called before the first key is read. Returns what could not be had.
    static func apply() -> [Weakness] {
        var weaknesses: [Weakness] = []
        // This also gives /proc/self to root, which a gateway does not mind.
        if sluice_forbid_dumps() != 0 { weaknesses.append(.dumps(errno)) }
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        if let error = lockMemory() { weaknesses.append(.swap(error)) }
        return weaknesses
    }

    /// Pages are locked when they are first touched, so that tables which few packets use stay small. nil, or errno.
    private static func lockMemory() -> Int32? {
        // Under a limit that holds, later allocations would fail instead of this call.
        guard mayLockEverything() else { return EPERM }
        return mlockall(Int32(MCL_CURRENT) | Int32(MCL_FUTURE) | Int32(MCL_ONFAULT)) == 0 ? nil : errno
    }

    private static func mayLockEverything() -> Bool {
        if let effective = ProcessFile.read("/proc/self/status").flatMap(Privileges.effectiveSet),
            !Privileges.missing(in: effective).contains(where: { $0.name == "CAP_IPC_LOCK" })
        {
            return true
        }
        var limit = rlimit()
        return getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit) == 0 && limit.rlim_cur == rlim_t.max
    }

    /// What an attacker with the machine's disk might find.
    enum Weakness: Equatable {
        /// The memory could not be locked; errno.
        case swap(Int32)
        /// Dumps could not be forbidden; errno.
        case dumps(Int32)

        /// What is not protected, why, and the remedy.
        var description: String {
            switch self {
            case .swap(let error):
                """
                memory is not locked (\(String(cString: strerror(error)))): what libcrypto holds of keys, that is key \
                schedules, GCM tables, private keys and IKE's key exchange values, may reach swap space; grant CAP_IPC_LOCK, \
                raise the limit of locked memory (ulimit -l, LimitMEMLOCK=infinity), or turn swap off
                """
            case .dumps(let error):
                """
                core dumps are not forbidden (\(String(cString: strerror(error)))): only blocks of keys are left out of them, \
                not what libcrypto holds; set the limit of core files to 0 (ulimit -c 0, LimitCORE=0)
                """
            }
        }
    }

    /// One descriptor per queue, ring and event; the default soft limit of 1024 is for `select`.
    static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
