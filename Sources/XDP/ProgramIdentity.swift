import CLibBPF

#if canImport(Glibc)
    import Glibc
#endif

/// The identity of an XDP program: its id, its name, and whether it is a steering program of ours.
///
/// A program is ours when both its name and one of its maps' names say so.
struct ProgramIdentity {
    var id: UInt32
    var name: String
    var isOurs: Bool

    /// Asks the kernel about the program with this id, which is on an interface; nil when it is gone.
    ///
    /// Without CAP_SYS_ADMIN only a program with a pin of ours can be looked at. Any other one is a stranger's.
    init?(id: UInt32, on interface: Int32) throws(XDPError) {
        let descriptor = Self.descriptor(id: id, on: interface)
        if descriptor == -ENOENT { return nil }
        if descriptor == -EPERM {
            self.id = id
            name = "unknown"
            isOurs = false
            return
        }
        guard descriptor >= 0 else { throw .bpf(place: "identify the XDP program with id \(id)", errno: -descriptor) }
        defer { close(descriptor) }
        var maps = [UInt32](repeating: 0, count: 64)
        let info = try maps.withUnsafeMutableBufferPointer { (maps) throws(XDPError) in
            var info = bpf_prog_info()
            info.nr_map_ids = UInt32(maps.count)
            info.map_ids = UInt64(UInt(bitPattern: maps.baseAddress))
            return try Self.query(descriptor, info)
        }
        self.id = id
        name = Self.text(of: info.name)
        let isNamedSo = name == SLUICE_PROGRAM
        isOurs =
            isNamedSo
            && (!Self.mayFindAny || maps.prefix(Int(info.nr_map_ids)).contains { Self.mapName($0) == "sluice_sockets" })
    }

    /// Whether the process may get hold of programs and maps by their ids.
    static var mayFindAny: Bool {
        var id: UInt32 = 0
        return bpf_prog_get_next_id(0, &id) != -EPERM
    }

    /// A descriptor of the program with this id, by its id or by our pin; a negative errno value when there is none.
    static func descriptor(id: UInt32, on interface: Int32) -> Int32 {
        let descriptor = bpf_prog_get_fd_by_id(id)
        guard descriptor == -EPERM else { return descriptor }
        return ProgramPin(interface: interface).open(id: id) ?? -EPERM
    }

    /// The id of the program behind a descriptor.
    static func id(of descriptor: Int32) throws(XDPError) -> UInt32 {
        try query(descriptor, bpf_prog_info()).id
    }

    private static func query(_ descriptor: Int32, _ request: bpf_prog_info) throws(XDPError) -> bpf_prog_info {
        var info = request
        var length = UInt32(MemoryLayout<bpf_prog_info>.size)
        let result = bpf_obj_get_info_by_fd(descriptor, &info, &length)
        guard result == 0 else { throw .bpf(place: "read a BPF program's description", errno: -result) }
        return info
    }

    private static func mapName(_ id: UInt32) -> String? {
        let descriptor = bpf_map_get_fd_by_id(id)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var info = bpf_map_info()
        var length = UInt32(MemoryLayout<bpf_map_info>.size)
        guard bpf_obj_get_info_by_fd(descriptor, &info, &length) == 0 else { return nil }
        return text(of: info.name)
    }

    /// A fixed-size C string.
    private static func text<Bytes>(of bytes: Bytes) -> String {
        withUnsafeBytes(of: bytes) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
