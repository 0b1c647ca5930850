import CLibBPF
import CLibXDP
import Glibc

/// A program that is on an interface, whoever put it there.
struct AttachedProgram {
    var identity: ProgramIdentity
    /// The flag of the mode that it runs in.
    var mode: UInt32
    /// libxdp's dispatcher is on the interface, and the program behind it.
    var isBehindDispatcher = false

    /// libxdp's name for its dispatcher.
    private static let dispatcher = "xdp_dispatcher"
    /// The most programs that are looked for behind a dispatcher, which has places for ten.
    private static let mostBehindDispatcher = 16

    /// The program on the interface itself, which may be a dispatcher; nil: there is none.
    static func first(on interface: Int32, _ name: String) throws(XDPError) -> AttachedProgram? {
        var ids: (UInt32, UInt32, UInt32) = (0, 0, 0)
        let result = withUnsafeMutableBytes(of: &ids) { bytes in
            bytes.withMemoryRebound(to: UInt32.self) { sluice_bpf_query(interface, $0.baseAddress) }
        }
        guard result == 0 else { throw .bpf(place: "ask for the XDP program of \(name)", errno: -result) }
        let modes = [(ids.0, XDP_FLAGS_DRV_MODE), (ids.1, XDP_FLAGS_SKB_MODE), (ids.2, XDP_FLAGS_HW_MODE)]
        for (id, flags) in modes where id != 0 {
            if let identity = try ProgramIdentity(id: id, on: interface) {
                return AttachedProgram(identity: identity, mode: UInt32(flags))
            }
        }
        return nil
    }

    /// The steering program that is on the interface, alone or behind a dispatcher; `except`: not this one.
    static func ours(on interface: Int32, _ name: String, except: UInt32? = nil) throws(XDPError) -> AttachedProgram? {
        guard let first = try first(on: interface, name) else { return nil }
        if first.identity.isOurs { return first.identity.id == except ? nil : first }
        guard first.isDispatcher else { return nil }
        var ids = [UInt32](repeating: 0, count: mostBehindDispatcher)
        let count = Int(sluice_xdp_list(interface, &ids, Int32(ids.count)))
        for id in ids.prefix(count) where id != except {
            guard let identity = try ProgramIdentity(id: id, on: interface), identity.isOurs else { continue }
            return AttachedProgram(identity: identity, mode: first.mode, isBehindDispatcher: true)
        }
        return nil
    }

    var isDispatcher: Bool { identity.name == Self.dispatcher }
    var isNative: Bool { mode == UInt32(XDP_FLAGS_DRV_MODE) }

    /// Takes exactly this program off the interface; 0 or an errno value.
    func detach(from interface: Int32) -> Int32 {
        if isBehindDispatcher { return -sluice_xdp_detach(interface, identity.id) }
        let descriptor = ProgramIdentity.descriptor(id: identity.id, on: interface)
        // One that cannot be got hold of cannot be named either, so whatever is there goes.
        if descriptor == -EPERM { return -sluice_bpf_detach(interface, mode, 0) }
        guard descriptor >= 0 else { return -descriptor }
        defer { close(descriptor) }
        return -sluice_bpf_detach(interface, mode, descriptor)
    }

    /// Cuts the link that holds the program, whoever owns it.
    func breakLink() throws(XDPError) {
        var id: UInt32 = 0
        while bpf_link_get_next_id(id, &id) == 0 {
            let descriptor = bpf_link_get_fd_by_id(id)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            var info = bpf_link_info()
            var length = UInt32(MemoryLayout<bpf_link_info>.size)
            guard bpf_obj_get_info_by_fd(descriptor, &info, &length) == 0, info.prog_id == identity.id else {
                continue
            }
            let result = bpf_link_detach(descriptor)
            guard result == 0 else { throw .bpf(place: "break the link of \(identity.name)", errno: -result) }
            return
        }
    }
}

// MARK: - For the commands

extension SteeringProgram {
    /// The id of the steering program on an interface of the calling thread's network namespace; nil: there is none, and
    /// nothing holds back what would have to be protected.
    public static func attached(to interface: String) throws(XDPError) -> UInt32? {
        let index = try NetworkInterface(named: interface).index
        return try AttachedProgram.ours(on: index, interface)?.identity.id
    }

    /// Takes the steering program off an interface, whether its gateway runs or not. False when there was none.
    @discardableResult public static func detach(from interface: String) throws(XDPError) -> Bool {
        let index = try NetworkInterface(named: interface).index
        var any = false
        while let program = try AttachedProgram.ours(on: index, interface) {
            let result = program.detach(from: index)
            if result == EBUSY {
                try program.breakLink()
            } else if result != 0 && result != ENOENT {
                throw .bpf(place: "detach the steering program from \(interface)", errno: result)
            }
            any = true
        }
        ProgramPin(interface: index).remove()
        return any
    }

    /// Takes it off every interface of this network namespace. Returns their names.
    public static func detachAll() throws(XDPError) -> [String] {
        guard let list = if_nameindex() else {
            throw .systemCall(place: "list the interfaces", errno: errno)
        }
        defer { if_freenameindex(list) }
        var names: [String] = []
        var entry = list
        while entry.pointee.if_index != 0, let name = entry.pointee.if_name {
            names.append(String(cString: name))
            entry += 1
        }
        var detached: [String] = []
        for name in names where try detach(from: name) { detached.append(name) }
        return detached
    }
}

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

/// A steering program's name in the BPF file system, if there is one.
///
/// Only with CAP_SYS_ADMIN may a process get hold of a program by its id, as it is found on an interface. One that has no such
/// power, as under the systemd unit, finds its predecessor's program here.
struct ProgramPin {
    private let path: String

    private static let directory = "/sys/fs/bpf/sluice"

    /// The pin of an interface in the calling thread's network namespace.
    init(interface: Int32) {
        var file = stat()
        let inode = stat("/proc/thread-self/ns/net", &file) == 0 ? file.st_ino : 0
        path = "\(Self.directory)/net-\(inode)-port-\(interface)"
    }

    /// Names a program that is about to be attached. The BPF file system knows no dots in names.
    func prepare(_ program: Int32) {
        mkdir(Self.directory, 0o700)
        unlink(path + "-new")
        // Nothing is lost where there is no BPF file system: with CAP_SYS_ADMIN it is found by its id.
        _ = bpf_obj_pin(program, path + "-new")
    }

    /// Puts the program, now that it is attached, in the place of the one before.
    func confirm() { rename(path + "-new", path) }

    /// Names a program that was attached without being prepared.
    func set(_ program: Int32) {
        prepare(program)
        confirm()
    }

    /// The program with this id, if it has its name here; a descriptor or nil.
    func open(id: UInt32) -> Int32? {
        for name in [path, path + "-new"] {
            let descriptor = bpf_obj_get(name)
            guard descriptor >= 0 else { continue }
            if let found = try? ProgramIdentity.id(of: descriptor), found == id { return descriptor }
            close(descriptor)
        }
        return nil
    }

    func remove() {
        unlink(path)
        unlink(path + "-new")
    }
}
