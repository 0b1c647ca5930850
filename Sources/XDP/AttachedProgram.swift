import CLibBPF
import CLibXDP

#if canImport(Glibc)
    import Glibc
#endif

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
