import Glibc

/// Tells systemd how the service is doing (sd_notify(3)), when it started us.
enum ServiceManager {
    static func ready(_ status: String) { notify("READY=1\nSTATUS=\(status)\n") }
    static func stopping() { notify("STOPPING=1\n") }

    /// One datagram to `NOTIFY_SOCKET`; a leading `@` means the abstract namespace. Failures are of no consequence.
    private static func notify(_ state: String) {
        guard let variable = getenv("NOTIFY_SOCKET") else { return }
        var path = Array(String(cString: variable).utf8)
        var address = sockaddr_un()
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard let first = path.first, path.count < capacity, first == UInt8(ascii: "/") || first == UInt8(ascii: "@")
        else { return }
        if first == UInt8(ascii: "@") { path[0] = 0 }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size - capacity + path.count)
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array(state.utf8)
        _ = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
    }
}
