import CLibBPF
import CTestLinux
import Foundation
import TestSupport
import Testing
import XDP

/// What may already be on an interface, and what is left behind.
@Suite struct AttachmentTests {
    private let pair: PortPair
    private let umem: UMEM

    init() throws {
        pair = try PortPair()
        umem = try UMEM(frames: 64)
    }

    private func open(force: Bool = false, mode: XDPMode = .auto) throws -> XDPPort {
        var options = PortOptions(mode, ringSize: 64)
        options.force = force
        return try pair.open(umem: umem, options: options)
    }

    /// A program that passes everything, under a stranger's name.
    private func loadStranger() throws -> Int32 {
        // r0 = XDP_PASS; exit
        let code = [
            bpf_insn(code: 0xb7, dst_reg: 0, src_reg: 0, off: 0, imm: 2),
            bpf_insn(code: 0x95, dst_reg: 0, src_reg: 0, off: 0, imm: 0),
        ]
        let program = bpf_prog_load(BPF_PROG_TYPE_XDP, "stranger", "GPL", code, code.count, nil)
        guard program >= 0 else { throw TestFailure(description: "load: errno \(-program)") }
        return program
    }

    /// Attaches without a link, as `ip link set xdp` and crashed daemons of other kinds do.
    private func attach(_ program: Int32, generic: Bool = false) throws {
        try pair.namespace.perform {
            let flags = UInt32(generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE)
            let result = bpf_xdp_attach(Int32(if_nametoindex(pair.port)), program, flags, nil)
            guard result == 0 else { throw TestFailure(description: "attach: errno \(-result)") }
        }
    }

    @Test func closeDetaches() throws {
        let port = try open()
        #expect(try pair.programs() == [port.program.id])
        port.close()
        #expect(try pair.programs() == [])
    }

    @Test func releaseDetaches() throws {
        do {
            let port = try open()
            #expect(try pair.programs() == [port.program.id])
        }
        #expect(try pair.programs() == [])
    }

    @Test(arguments: [false, true])
    func leftoverOfOursIsReplaced(generic: Bool) throws {
        do {
            let crashed = try SteeringProgram(tables: PortPair.tables(), roles: .wan)
            try attach(crashed.fileDescriptor, generic: generic)
            #expect(try pair.programs() == [crashed.id])
        }
        // Its owner is gone, the program is still there.
        #expect(try pair.programs().count == 1)
        let port = try open()
        #expect(try pair.programs() == [port.program.id])
        #expect(port.mode.xdp == .native)
    }

    /// Same name, none of our maps: not ours.
    @Test func foreignProgramIsReportedAndKept() throws {
        let stranger = try loadStranger()
        defer { Foundation.close(stranger) }
        try attach(stranger)
        let id = try #require(try pair.programs().first)
        let failure = #expect(throws: XDPError.self) { try open() }
        #expect(failure == .foreignProgram(interface: "port", id: id, name: "stranger"))
        #expect(failure?.description.contains("\"stranger\" (id \(id))") == true)
        #expect(try pair.programs() == [id])

        let port = try open(force: true)
        #expect(try pair.programs() == [port.program.id])
    }

    @Test func foreignLinkIsBrokenOnlyByForce() throws {
        let stranger = try loadStranger()
        defer { Foundation.close(stranger) }
        let link = try pair.namespace.perform {
            sluice_bpf_link(stranger, Int32(if_nametoindex(pair.port)), UInt32(XDP_FLAGS_SKB_MODE))
        }
        try #require(link >= 0)
        defer { Foundation.close(link) }
        let failure = #expect(throws: XDPError.self) { try open() }
        guard case .foreignProgram = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
        let port = try open(force: true)
        #expect(try pair.programs() == [port.program.id])
    }

    @Test func secondInstanceIsRefused() throws {
        let first = try open()
        let failure = #expect(throws: XDPError.self) { try open() }
        #expect(failure == .alreadyRunning(interface: "port", id: first.program.id))
        #expect(try pair.programs() == [first.program.id])
    }

    /// The kernel takes a killed process's program and sockets down, and a restart at once succeeds.
    @Test func killedProcessLeavesNothing() async throws {
        await #expect(processExitsWith: .signal(SIGKILL)) { [name = pair.namespace.name as String] in
            let error = sluice_test_enter_namespace(Foundation.open("/run/netns/\(name)", O_RDONLY))
            guard error == 0 else { throw TestFailure(description: "setns: errno \(error)") }
            let port = try XDPPort(
                interface: "port", roles: .wan, umem: UMEM(frames: 64), tables: PortPair.tables(),
                options: PortOptions(.auto, ringSize: 64))
            try port.start()
            kill(getpid(), SIGKILL)
        }
        let port = try open()
        #expect(try pair.programs() == [port.program.id])
    }

    /// Without privileges the missing capability is named.
    @Test func missingCapabilityIsNamed() async {
        await #expect(processExitsWith: .success) {
            guard setuid(65534) == 0 else { exit(2) }
            do {
                _ = try SteeringTables()
                exit(3)
            } catch {
                guard let error = error as? XDPError, case .missingCapability(let name, _, EPERM) = error else {
                    exit(4)
                }
                exit(name.contains("CAP_BPF") && error.description.contains("run as root") ? 0 : 5)
            }
        }
    }
}
