import Glibc

/// What the process may do, and what it needs to be allowed.
enum Privileges {
    /// A capability of capabilities(7) that the gateway needs, and why.
    struct Need: Hashable {
        let name: String
        /// Bit in the capability sets of `/proc/self/status`.
        let bit: Int
        let purpose: String
        /// A wider capability that includes it, if any.
        var wider: Int?

        static let netAdmin = Need(
            name: "CAP_NET_ADMIN", bit: 12, purpose: "attach the XDP program, close the boundary and follow the network"
        )
    }

    private static let sysAdmin = 21

    static let needs = [
        .netAdmin,
        Need(name: "CAP_NET_RAW", bit: 13, purpose: "open AF_XDP sockets"),
        Need(name: "CAP_BPF", bit: 39, purpose: "load the XDP program", wider: sysAdmin),
        // Without it the verifier refuses packet pointers that go by a length of the packet.
        Need(name: "CAP_PERFMON", bit: 38, purpose: "load the XDP program", wider: sysAdmin),
        Need(name: "CAP_IPC_LOCK", bit: 14, purpose: "keep packet memory and keys out of swap"),
    ]

    /// The needs that an effective capability set (bits) does not meet.
    static func missing(in effective: UInt64, of needs: [Need] = Self.needs) -> [Need] {
        func has(_ bit: Int) -> Bool { effective >> UInt64(bit) & 1 == 1 }
        return needs.filter { need in !has(need.bit) && !(need.wider.map(has) ?? false) }
    }

    /// `CapEff` of the text of `/proc/self/status`.
    static func effectiveSet(ofStatus text: String) -> UInt64? {
        for line in text.split(separator: "\n") where line.hasPrefix("CapEff:") {
            return line.split(whereSeparator: \.isWhitespace).last.flatMap { UInt64($0, radix: 16) }
        }
        return nil
    }

    /// Throws when a capability is missing, naming all that are, so that one attempt is enough to know.
    static func check(_ needs: [Need] = Self.needs) throws(GatewayError) {
        guard let effective = ProcessFile.read("/proc/self/status").flatMap(effectiveSet) else { return }
        let missing = missing(in: effective, of: needs)
        guard !missing.isEmpty else { return }
        let list = missing.map { "\($0.name) (to \($0.purpose))" }.joined(separator: ", ")
        let names = missing.map(\.name).joined(separator: " ")
        throw GatewayError(
            .environment, "missing privileges: \(list)",
            remedy: "run as root, or give the systemd unit AmbientCapabilities=\(names)")
    }
}

/// Small files of procfs and sysfs.
enum ProcessFile {
    static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count > 0 { text += buffer.prefix(count) } else if count == 0 || errno != EINTR { break }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
