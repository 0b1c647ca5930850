import CXDP

#if canImport(Glibc)
    import Glibc
#endif

/// Says that a process of ours uses an interface: a socket with a name of its own in the network namespace. The kernel takes
/// it away with the process, however that ends, so what is left on the interface then has no owner.
final class PortLock: Sendable {
    private let descriptor: Int32

    /// Waits a moment for a process that is just ending.
    init(_ interface: NetworkInterface) throws(XDPError) {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else {
            throw .systemCall(place: "make a socket for the lock of \(interface.name)", errno: errno)
        }
        for attempt in 1...ProgramAttachment.patience.attempts {
            let result = Self.bind(descriptor, to: "sluice-port-\(interface.index)")
            if result == 0 { return }
            guard result == EADDRINUSE, attempt < ProgramAttachment.patience.attempts else {
                close(descriptor)
                guard result == EADDRINUSE else { throw .systemCall(place: "lock \(interface.name)", errno: result) }
                throw .alreadyRunning(
                    interface: interface.name, id: (try? SteeringProgram.attached(to: interface.name)) ?? 0)
            }
            usleep(ProgramAttachment.patience.microseconds)
        }
    }

    deinit { close(descriptor) }

    /// Binds to an abstract name, which begins with a zero byte; 0 or an errno value.
    private static func bind(_ descriptor: Int32, to name: String) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0[1...].copyBytes(from: name.utf8) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + 1 + name.utf8.count)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.bind(descriptor, $0, length) }
        }
        return result == 0 ? 0 : errno
    }
}
