import CLibBPF
import CLibXDP
import Platform

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

    /// Takes exactly this program off the interface.
    func detach(from interface: Int32) throws(Errno) {
        if isBehindDispatcher { return try Errno.check(sluice_xdp_detach(interface, identity.id)) }
        let program: Descriptor
        do throws(Errno) {
            program = try ProgramIdentity.descriptor(id: identity.id, on: interface)
        } catch {
            guard error == .notPermitted else { throw error }
            // One that cannot be got hold of cannot be named either, so whatever is there goes.
            return try Errno.check(sluice_bpf_detach(interface, mode, 0))
        }
        try Errno.check(sluice_bpf_detach(interface, mode, program.number))
    }

    /// Cuts the link that holds the program, whoever owns it.
    func breakLink() throws(XDPError) {
        var id: UInt32 = 0
        while bpf_link_get_next_id(id, &id) == 0 {
            guard let link = try? Descriptor(result: bpf_link_get_fd_by_id(id)) else { continue }
            var info = bpf_link_info()
            var length = UInt32(MemoryLayout<bpf_link_info>.size)
            guard bpf_obj_get_info_by_fd(link.number, &info, &length) == 0, info.prog_id == identity.id else {
                continue
            }
            let result = bpf_link_detach(link.number)
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
            do throws(Errno) {
                try program.detach(from: index)
            } catch {
                switch error {
                case .resourceBusy: try program.breakLink()
                case .noSuchFileOrDirectory: break
                default:
                    throw XDPError.bpf(
                        place: "detach the steering program from \(interface)", errno: error.rawValue)
                }
            }
            any = true
        }
        ProgramPin(interface: index).remove()
        return any
    }

    /// Takes it off every interface of this network namespace. Returns their names.
    public static func detachAll() throws(XDPError) -> [String] {
        let names: [String]
        do { names = try SystemNames.interfaces() } catch {
            throw .systemCall(place: "list the interfaces", errno: error.rawValue)
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
        let program: Descriptor
        do throws(Errno) {
            program = try Self.descriptor(id: id, on: interface)
        } catch {
            switch error {
            case .noSuchFileOrDirectory: return nil
            case .notPermitted:
                self.id = id
                name = "unknown"
                isOurs = false
                return
            default: throw .bpf(place: "identify the XDP program with id \(id)", errno: error.rawValue)
            }
        }
        let descriptor = program.number
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
        return bpf_prog_get_next_id(0, &id) != -Errno.notPermitted.rawValue
    }

    /// A descriptor of the program with this id, by its id or by our pin.
    static func descriptor(id: UInt32, on interface: Int32) throws(Errno) -> Descriptor {
        do throws(Errno) {
            return try Descriptor(result: bpf_prog_get_fd_by_id(id))
        } catch {
            guard error == .notPermitted, let pinned = ProgramPin(interface: interface).open(id: id) else {
                throw error
            }
            return pinned
        }
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
        guard let map = try? Descriptor(result: bpf_map_get_fd_by_id(id)) else { return nil }
        var info = bpf_map_info()
        var length = UInt32(MemoryLayout<bpf_map_info>.size)
        guard bpf_obj_get_info_by_fd(map.number, &info, &length) == 0 else { return nil }
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
        let inode = (try? Files.status("/proc/thread-self/ns/net"))?.inode ?? 0
        path = "\(Self.directory)/net-\(inode)-port-\(interface)"
    }

    /// Names a program that is about to be attached. The BPF file system knows no dots in names.
    func prepare(_ program: Int32) {
        try? Files.makeDirectory(Self.directory, mode: 0o700)
        try? Files.remove(path + "-new")
        // Nothing is lost where there is no BPF file system: with CAP_SYS_ADMIN it is found by its id.
        _ = bpf_obj_pin(program, path + "-new")
    }

    /// Puts the program, now that it is attached, in the place of the one before.
    func confirm() { try? Files.rename(path + "-new", to: path) }

    /// Names a program that was attached without being prepared.
    func set(_ program: Int32) {
        prepare(program)
        confirm()
    }

    /// The program with this id, if it has its name here; a descriptor or nil.
    func open(id: UInt32) -> Descriptor? {
        for name in [path, path + "-new"] {
            guard let program = try? Descriptor(result: bpf_obj_get(name)) else { continue }
            if let found = try? ProgramIdentity.id(of: program.number), found == id { return program }
        }
        return nil
    }

    func remove() {
        try? Files.remove(path)
        try? Files.remove(path + "-new")
    }
}
