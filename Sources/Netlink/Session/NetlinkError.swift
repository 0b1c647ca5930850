import SystemPackage

/// Why something that netlink was asked for did not happen.
package enum NetlinkError: Error, Hashable, CustomStringConvertible {
    /// A system call failed.
    case system(Errno, operation: String)
    /// The kernel refused a request; `reason` is its own explanation, if it gave one.
    case refused(Errno, operation: String, reason: String?)
    /// The tables changed during each of several dumps.
    case unstableDump
    /// The kernel's answer made no sense, or did not come.
    case unexpectedAnswer(operation: String)

    /// The underlying error number, if there is one.
    package var errno: Errno? {
        switch self {
        case .system(let errno, _), .refused(let errno, _, _): errno
        case .unstableDump, .unexpectedAnswer: nil
        }
    }

    package var description: String {
        switch self {
        case .system(let errno, let operation):
            "netlink: \(operation): \(errno)\(Self.remedy(errno))"
        case .refused(let errno, let operation, let reason):
            "netlink: \(operation): \(errno)\(reason.map { " (\($0))" } ?? "")\(Self.remedy(errno))"
        case .unstableDump:
            "netlink: the network configuration changes too fast to be read; try again"
        case .unexpectedAnswer(let operation):
            "netlink: \(operation): no understandable answer from the kernel; report it with the output of uname -r"
        }
    }

    private static func remedy(_ errno: Errno) -> String {
        switch errno {
        case .notPermitted, .permissionDenied: "; run as root or with CAP_NET_ADMIN"
        // Of all operations only the TUN device opens a file.
        case .noSuchFileOrDirectory: "; load the kernel module with: modprobe tun"
        default: ""
        }
    }
}
