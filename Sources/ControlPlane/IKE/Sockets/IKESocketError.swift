import Glibc
import Packets

/// Why an IKE socket could not be opened: what was wrong, and what to do.
package struct IKESocketError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    /// - Parameters:
    ///   - call: the system call that failed.
    ///   - code: its errno.
    init(_ family: AddressFamily, port: UInt16, call: String, code: Int32) {
        let what = "UDP port \(port) (\(family.name))"
        switch code {
        case EADDRINUSE:
            let holder = PortHolder.find(family, port: port) ?? "another process"
            description =
                "\(what) is in use by \(holder); IKEv2 needs it: stop that (`ss -ulpn 'sport = :\(port)'` shows it, "
                + "`systemctl disable --now strongswan strongswan-starter` ends a strongSwan), then start again"
        case EACCES, EPERM:
            description = "\(what): no permission to open it; run as root, or grant CAP_NET_BIND_SERVICE"
        default:
            description = "\(what): \(call): \(String(cString: strerror(code)))"
        }
    }
}

/// Finds out which process has a UDP port, as far as procfs lets us see.
enum PortHolder {
    /// "charon (process 4711)"; nil when it cannot be found out.
    static func find(_ family: AddressFamily, port: UInt16) -> String? {
        // A socket of both families, which has the port in IPv4 too, is listed with the IPv6 ones.
        let tables = family == .ipv4 ? ["udp", "udp6"] : ["udp6"]
        let taken = Set(tables.flatMap { inodes(inTable: read("/proc/thread-self/net/\($0)"), port: port) })
        guard !taken.isEmpty else { return nil }
        for process in entries("/proc") {
            guard let id = Int(process) else { continue }
            for descriptor in entries("/proc/\(process)/fd")
            where target("/proc/\(process)/fd/\(descriptor)").map({ taken.contains($0) }) ?? false {
                let name = read("/proc/\(process)/comm").split(separator: "\n").first.map(String.init)
                return "\(name ?? "a process") (process \(id))"
            }
        }
        return nil
    }

    /// Column 10 of the lines of `/proc/net/udp` whose local port, in hexadecimal behind the colon, is `port`.
    static func inodes(inTable text: String, port: UInt16) -> [String] {
        text.split(separator: "\n").dropFirst().compactMap { line in
            let columns = line.split(separator: " ")
            guard columns.count > 9, let digits = columns[1].split(separator: ":").last,
                UInt16(digits, radix: 16) == port
            else { return nil }
            return "socket:[\(columns[9])]"
        }
    }

    private static func entries(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                    String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
                })
        }
        return names
    }

    private static func target(_ path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 128)
        let count = buffer.withUnsafeMutableBytes { raw in
            raw.baseAddress.map { readlink(path, $0.assumingMemoryBound(to: CChar.self), raw.count) } ?? -1
        }
        return count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : nil
    }

    private static func read(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while text.count < 1 << 24 {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            text += buffer.prefix(count)
        }
        return String(decoding: text, as: UTF8.self)
    }
}
