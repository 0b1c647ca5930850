import CLibBPF

#if canImport(Glibc)
    import Glibc
#endif

/// A steering program on an interface, for as long as this object lives.
///
/// It is attached through a BPF link: the kernel detaches it when the process ends, however it ends. What may still be
/// found on an interface is a program of ours that was attached in another way, which is replaced; one whose process is
/// just dying, which is waited for; and a stranger's, which is reported.
final class ProgramAttachment: @unchecked Sendable {
    /// `native` or `generic`.
    let mode: XDPMode
    /// Why not native; empty when it was not asked for or not needed.
    let reason: String
    private let link: Int32

    /// How often, and how long apart, to look again for a program or a queue of a process that is just ending.
    static let patience = (attempts: 40, microseconds: UInt32(25_000))

    init(
        _ program: SteeringProgram, to interface: NetworkInterface, mode: XDPMode, force: Bool
    ) throws(XDPError) {
        try Self.clear(interface, force: force)
        var reason = mode == .generic ? "generic was asked for" : ""
        if mode != .generic {
            do throws(XDPError) {
                link = try Self.attach(program, to: interface, mode: .native)
                self.mode = .native
                self.reason = reason
                return
            } catch {
                guard mode == .auto, error.isMissingNativeSupport else { throw error }
                reason = "native: \(error.cause)"
            }
        }
        link = try Self.attach(program, to: interface, mode: .generic)
        self.mode = .generic
        self.reason = reason
    }

    /// Detaches the program, also when a child process still has a copy of the link's descriptor.
    deinit {
        _ = bpf_link_detach(link)
        close(link)
    }

    private static func attach(
        _ program: SteeringProgram, to interface: NetworkInterface, mode: XDPMode
    ) throws(XDPError) -> Int32 {
        let flags = mode == .native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE
        let link = sluice_bpf_link(program.fileDescriptor, interface.index, UInt32(flags))
        guard link < 0 else { return link }
        switch -link {
        case ERANGE, E2BIG, EMSGSIZE, EFBIG:
            throw .mtuTooLarge(interface: interface.name, mtu: interface.mtu, errno: -link)
        case EINVAL where mode == .native && interface.mtu > 3000:
            throw .mtuTooLarge(interface: interface.name, mtu: interface.mtu, errno: -link)
        case EPERM, ENODEV: throw .bpf(place: "attach the steering program to \(interface.name)", errno: -link)
        case _ where mode == .native: throw .nativeUnsupported(interface: interface.name, errno: -link)
        default: throw .systemCall(place: "attach the steering program to \(interface.name)", errno: -link)
        }
    }

    // MARK: What is there already

    /// Makes room: removes programs of ours, and with `force` any.
    private static func clear(_ interface: NetworkInterface, force: Bool) throws(XDPError) {
        for attempt in 1...patience.attempts {
            guard let (program, flags) = try attached(to: interface) else { return }
            if !program.isOurs && !force {
                throw .foreignProgram(interface: interface.name, id: program.id, name: program.name)
            }
            let result = detach(program, from: interface, flags: flags)
            if result == EBUSY {
                // A link holds it: its process lives, or ends at this moment.
                if force {
                    try breakLink(of: program)
                } else if attempt == patience.attempts {
                    throw .alreadyRunning(interface: interface.name, id: program.id)
                } else {
                    usleep(patience.microseconds)
                }
            } else if result != 0 && result != ENOENT {
                throw .bpf(place: "detach the XDP program \(program.name) from \(interface.name)", errno: result)
            }
        }
    }

    /// The first program on the interface, and the flag of the mode it runs in.
    private static func attached(
        to interface: NetworkInterface
    ) throws(XDPError) -> (program: ProgramIdentity, flags: UInt32)? {
        var ids: (UInt32, UInt32, UInt32) = (0, 0, 0)
        let result = withUnsafeMutableBytes(of: &ids) { bytes in
            bytes.withMemoryRebound(to: UInt32.self) { sluice_bpf_query(interface.index, $0.baseAddress) }
        }
        guard result == 0 else {
            throw .bpf(place: "ask for the XDP program of \(interface.name)", errno: -result)
        }
        let modes = [(ids.0, XDP_FLAGS_DRV_MODE), (ids.1, XDP_FLAGS_SKB_MODE), (ids.2, XDP_FLAGS_HW_MODE)]
        for (id, flags) in modes where id != 0 {
            if let program = try ProgramIdentity(id: id) { return (program, UInt32(flags)) }
        }
        return nil
    }

    /// Detaches exactly this program; 0 or an errno value.
    private static func detach(_ program: ProgramIdentity, from interface: NetworkInterface, flags: UInt32) -> Int32 {
        let descriptor = bpf_prog_get_fd_by_id(program.id)
        guard descriptor >= 0 else { return -descriptor }
        defer { close(descriptor) }
        return -sluice_bpf_detach(interface.index, flags, descriptor)
    }

    /// Cuts the link that holds the program, whoever owns it.
    private static func breakLink(of program: ProgramIdentity) throws(XDPError) {
        var id: UInt32 = 0
        while bpf_link_get_next_id(id, &id) == 0 {
            let descriptor = bpf_link_get_fd_by_id(id)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            var info = bpf_link_info()
            var length = UInt32(MemoryLayout<bpf_link_info>.size)
            guard bpf_obj_get_info_by_fd(descriptor, &info, &length) == 0, info.prog_id == program.id else { continue }
            let result = bpf_link_detach(descriptor)
            guard result == 0 else { throw .bpf(place: "break the link of \(program.name)", errno: -result) }
            return
        }
    }
}
