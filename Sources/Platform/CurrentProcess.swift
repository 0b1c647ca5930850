import CLinux
import Glibc

/// The process as the kernel sees it: its number, surroundings, limits.
public enum CurrentProcess {
    public static var identifier: Int { Int(getpid()) }

    /// The size of a page of memory in bytes.
    public static var pageSize: Int { sysconf(Int32(_SC_PAGESIZE)) }

    /// The bytes of memory that are resident now; 0 when the kernel does not tell. The second figure of `/proc/self/statm`.
    public static var residentBytes: Int {
        let figures = Files.text(of: "/proc/self/statm")?.split(separator: " ") ?? []
        return figures.count > 1 ? (Int(figures[1]) ?? 0) * pageSize : 0
    }

    /// The operating system and its release, and the kind of machine, as `uname` tells.
    public static var system: (name: String, release: String, machine: String) {
        var names = utsname()
        uname(&names)
        func text<Field>(_ field: Field) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        return (text(names.sysname), text(names.release), text(names.machine))
    }

    /// A variable of the environment; nil: it is not set.
    public static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// Lets SIGHUP pass without an effect.
    public static func ignoreHangUp() { signal(SIGHUP, SIG_IGN) }

    /// Calls a function when the process ends in the usual way.
    public static func atExit(_ body: @escaping @convention(c) () -> Void) { atexit(body) }

    /// Ends the process with a code for who started it.
    public static func exit(_ code: Int32) -> Never { Glibc.exit(code) }

    // MARK: Limits

    /// Forbids core dumps, and debuggers without privileges.
    public static func forbidDumps() throws(Errno) { try attempt { sluice_forbid_dumps() } }

    /// Sets the limit of core files to 0.
    public static func forbidCoreFiles() {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
    }

    /// Keeps all memory, also that of later, out of swap space from the moment in which it is touched.
    public static func lockMemory() throws(Errno) {
        try attempt { mlockall(Int32(MCL_CURRENT) | Int32(MCL_FUTURE) | Int32(MCL_ONFAULT)) }
    }

    /// Whether any amount of memory may be locked.
    public static var mayLockAnyMemory: Bool {
        var limit = rlimit()
        return getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit) == 0 && limit.rlim_cur == rlim_t.max
    }

    /// Raises the limit of open descriptors to what the process may have.
    public static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
