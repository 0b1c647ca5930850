import CLibBPF
import CLibXDP
import Platform

/// A steering program on an interface. It stays there when this object is gone, and when the process is.
///
/// Which way it gets there:
///
/// - Nothing there, or libxdp's dispatcher: libxdp attaches it, behind its dispatcher where the kernel has what that needs.
///   Without CAP_SYS_ADMIN it would not find it again there, so it is attached alone.
/// - The program of an earlier gateway: replaced in one step, so that no packet finds the interface without one. Only
///   between native and generic mode the kernel allows no such step.
/// - A stranger's program: reported, or removed by force.
final class ProgramAttachment: @unchecked Sendable {
    let program: SteeringProgram
    /// `native` or `generic`.
    let mode: XDPMode
    /// Why not native; empty when it was not asked for or not needed.
    let reason: String
    private let interface: NetworkInterface
    /// The program that was there before, kept until it is sure that it is not needed again.
    private let predecessor: Predecessor?

    /// The number of looks, and the time between them, for a program or a queue of a process that is just ending.
    static let patience = (attempts: 40, microseconds: UInt32(25_000))

    private final class Predecessor {
        let isNative: Bool
        private let program: Descriptor

        var descriptor: Int32 { program.number }

        init?(_ attached: AttachedProgram, on interface: Int32) {
            guard let program = try? ProgramIdentity.descriptor(id: attached.identity.id, on: interface) else {
                return nil
            }
            self.program = program
            isNative = attached.isNative
        }
    }

    /// Makes the program, as often as there are modes to try: with the step that loads it.
    typealias Maker = (_ load: (OpaquePointer) throws(XDPError) -> Int32) throws(XDPError) -> SteeringProgram

    init(
        to interface: NetworkInterface, mode: XDPMode, force: Bool, make: @escaping Maker
    ) throws(XDPError) {
        let found = try Self.makeRoom(interface, force: force)
        let attempt = Attempt(interface: interface, found: found, make: make)
        var reason = mode == .generic ? "generic was asked for" : ""
        var attached: SteeringProgram?
        if mode != .generic {
            do throws(XDPError) {
                attached = try attempt.attach(native: true)
            } catch {
                guard mode == .auto, error.isMissingNativeSupport else { throw error }
                reason = "native: \(error.cause)"
            }
        }
        self.mode = attached == nil ? .generic : .native
        if let attached { program = attached } else { program = try attempt.attach(native: false) }
        self.reason = reason
        self.interface = interface
        predecessor = attempt.predecessor
        attempt.pin.set(program.fileDescriptor)
        try attempt.removeFromDispatcher(except: program.id)
    }

    /// Puts back what was there before: the start has failed.
    func undo() {
        let isNative = mode == .native
        guard let predecessor else {
            _ = try? SteeringProgram.detach(from: interface.name)
            return
        }
        let own = program.fileDescriptor
        ProgramPin(interface: interface.index).set(predecessor.descriptor)
        if predecessor.isNative == isNative {
            _ = sluice_bpf_attach(interface.index, Self.flag(isNative), predecessor.descriptor, own)
        } else {
            _ = sluice_bpf_detach(interface.index, Self.flag(isNative), own)
            _ = sluice_bpf_attach(interface.index, Self.flag(predecessor.isNative), predecessor.descriptor, 0)
        }
    }

    private static func flag(_ isNative: Bool) -> UInt32 {
        UInt32(isNative ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE)
    }

    /// The program that is on the interface and may stay until it is replaced; strangers' programs go by force only.
    private static func makeRoom(_ interface: NetworkInterface, force: Bool) throws(XDPError) -> AttachedProgram? {
        for _ in 1...patience.attempts {
            guard let found = try AttachedProgram.first(on: interface.index, interface.name) else { return nil }
            if found.identity.isOurs || found.isDispatcher { return found }
            guard force else {
                throw .foreignProgram(
                    interface: interface.name, id: found.identity.id, name: found.identity.name)
            }
            do throws(Errno) {
                try found.detach(from: interface.index)
            } catch {
                switch error {
                case .resourceBusy: try found.breakLink()
                case .noSuchFileOrDirectory: break
                default:
                    let place = "detach the XDP program \(found.identity.name) from \(interface.name)"
                    throw XDPError.bpf(place: place, errno: error.rawValue)
                }
            }
        }
        return nil
    }

    // MARK: One attempt

    private struct Attempt {
        let interface: NetworkInterface
        let found: AttachedProgram?
        let make: Maker
        let predecessor: Predecessor?
        let pin: ProgramPin

        init(interface: NetworkInterface, found: AttachedProgram?, make: @escaping Maker) {
            self.interface = interface
            self.found = found
            self.make = make
            pin = ProgramPin(interface: interface.index)
            predecessor = found.flatMap { $0.identity.isOurs ? Predecessor($0, on: interface.index) : nil }
        }

        func attach(native: Bool) throws(XDPError) -> SteeringProgram {
            if let predecessor { return try replace(predecessor, native: native) }
            let isShared = found?.isDispatcher == true
            guard isShared || (ProgramIdentity.mayFindAny && !sluice_bpffs_is_private()) else {
                return try attachAlone(native: native)
            }
            do throws(XDPError) {
                return try attachByLibrary(native: native)
            } catch {
                // Whatever libxdp lacks here (a place for its pins, its own programs): alone it needs nothing.
                guard !isShared else { throw error }
                return try attachAlone(native: native)
            }
        }

        private func attachAlone(native: Bool) throws(XDPError) -> SteeringProgram {
            let program = try make { bpf_object__load($0) }
            try check(put(program, native: native, replacing: 0), native: native)
            return program
        }

        /// libxdp loads and attaches in one.
        private func attachByLibrary(native: Bool) throws(XDPError) -> SteeringProgram {
            try make { (object) throws(XDPError) in
                let result = sluice_xdp_attach(object, interface.index, native, UInt32(SLUICE_RUN_PRIORITY))
                guard result != 0, let program = bpf_object__find_program_by_name(object, SLUICE_PROGRAM),
                    bpf_program__fd(program) >= 0
                else { return result }
                // It was loaded, so it is the interface that does not take it.
                try check(result, native: native)
                return 0
            }
        }

        /// Puts the new program where the old one is.
        private func replace(_ old: Predecessor, native: Bool) throws(XDPError) -> SteeringProgram {
            let program = try make { bpf_object__load($0) }
            if old.isNative == native {
                try check(patiently { put(program, native: native, replacing: old.descriptor) }, native: native)
                return program
            }
            let flags = ProgramAttachment.flag(old.isNative)
            try check(patiently { sluice_bpf_detach(interface.index, flags, old.descriptor) }, native: native)
            let result = put(program, native: native, replacing: 0)
            if result != 0 { _ = sluice_bpf_attach(interface.index, flags, old.descriptor, 0) }
            try check(result, native: native)
            return program
        }

        /// Behind a dispatcher the old program runs beside the new one until now; it let nothing pass that it should not.
        func removeFromDispatcher(except new: UInt32) throws(XDPError) {
            guard found?.isDispatcher == true else { return }
            while let old = try AttachedProgram.ours(on: interface.index, interface.name, except: new) {
                do throws(Errno) {
                    try old.detach(from: interface.index)
                } catch {
                    throw XDPError.bpf(
                        place: "remove the steering program of an earlier gateway", errno: error.rawValue)
                }
            }
        }

        private func put(_ program: SteeringProgram, native: Bool, replacing old: Int32) -> Int32 {
            pin.prepare(program.fileDescriptor)
            return sluice_bpf_attach(
                interface.index, ProgramAttachment.flag(native), program.fileDescriptor, old)
        }

        /// A link may hold the old program, whose process is just ending.
        private func patiently(_ body: () -> Int32) -> Int32 {
            var result = body()
            for _ in 1..<ProgramAttachment.patience.attempts where result == -Errno.resourceBusy.rawValue {
                SystemClock.sleep(microseconds: ProgramAttachment.patience.microseconds)
                result = body()
            }
            return result
        }

        /// Throws what the kernel's answer means.
        private func check(_ result: Int32, native: Bool) throws(XDPError) {
            if result == 0 { return }
            switch Errno(rawValue: -result) {
            case .outOfRange, .argListTooLong, .messageTooLong, .fileTooLarge:
                throw .mtuTooLarge(interface: interface.name, mtu: interface.mtu, errno: -result)
            case .invalidArgument where native && interface.mtu > 3000:
                throw .mtuTooLarge(interface: interface.name, mtu: interface.mtu, errno: -result)
            case .resourceBusy where found?.identity.isOurs == true:
                throw .alreadyRunning(interface: interface.name, id: found?.identity.id ?? 0)
            case .notPermitted, .operationNotSupportedByDevice:
                throw .bpf(place: "attach the steering program to \(interface.name)", errno: -result)
            case _ where native: throw .nativeUnsupported(interface: interface.name, errno: -result)
            default: throw .systemCall(place: "attach the steering program to \(interface.name)", errno: -result)
            }
        }
    }
}
