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

    private func open(force: Bool = false, mode: XDPMode = .auto, start: Bool = true) throws -> XDPPort {
        var options = PortOptions(mode, ringSize: 64)
        options.force = force
        let port = try pair.open(umem: umem, options: options)
        if start { try port.start() }
        return port
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

    /// Nobody takes the program away but who says so.
    @Test(arguments: [XDPMode.native, .generic])
    func programOutlivesThePort(mode: XDPMode) throws {
        let id: UInt32
        do {
            let port = try open(mode: mode)
            id = port.program.id
            #expect(try pair.programs() == [id])
            port.close()
            #expect(try pair.programs() == [id])
        }
        #expect(try pair.programs() == [id])
        #expect(try pair.steering() == id)
        #expect(try pair.namespace.perform { try SteeringProgram.detach(from: pair.port) })
        #expect(try pair.programs() == [])
        #expect(try pair.steering() == nil)
        #expect(try pair.namespace.perform { try SteeringProgram.detach(from: pair.port) } == false)
    }

    /// Also under a gateway that runs.
    @Test func detachTakesItFromARunningPort() throws {
        let port = try open()
        #expect(try pair.namespace.perform { try SteeringProgram.detach(from: pair.port) })
        #expect(try pair.programs() == [])
        port.close()
    }

    @Test(arguments: [XDPMode.native, .generic], [XDPMode.native, .generic])
    func leftoverOfOursIsReplaced(first: XDPMode, second: XDPMode) throws {
        let old = try open(mode: first).program.id
        #expect(try pair.programs() == [old])
        let port = try open(mode: second)
        #expect(try pair.programs() == [port.program.id] && port.program.id != old)
        #expect(port.mode.xdp == second)
    }

    /// One that was attached by others' means.
    @Test(arguments: [false, true])
    func strayOfOursIsReplaced(generic: Bool) throws {
        do {
            let stray = try SteeringProgram(tables: PortPair.tables(), links: [])
            try attach(stray.fileDescriptor, generic: generic)
            #expect(try pair.programs() == [stray.id])
        }
        let port = try open()
        #expect(try pair.programs() == [port.program.id])
        #expect(port.mode.xdp == .native)
    }

    /// While one program takes the other's place no frame finds none: all are dropped by one of the two.
    @Test(arguments: [XDPMode.native, .generic])
    func replacementLeavesNoGap(mode: XDPMode) async throws {
        let rules = [try SteeringRule(from: "0.0.0.0/0", to: "10.2.0.0/16")]
        func make() throws -> XDPPort {
            let tables = try PortPair.tables()
            try tables.change(adding: rules)
            let port = try pair.open(roles: .lan, umem: umem, tables: tables, options: PortOptions(mode, ringSize: 64))
            try port.start()
            return port
        }
        try pair.namespace.sysctl("net.ipv4.ip_forward=1")
        try pair.namespace.ip(
            "link add sink type veth peer name drain", "link set sink up", "link set drain up",
            "route add 10.2.0.0/16 dev sink",
            "addr add 192.0.2.1/24 dev \(pair.port)", "neigh add 10.2.3.4 lladdr 02:00:00:00:00:77 dev sink")
        try pair.namespace.sysctl("net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.\(pair.port).rp_filter=0")
        func forwarded() throws -> Int {
            let file = "/sys/class/net/sink/statistics/tx_packets"
            let statistics = try run(["ip", "netns", "exec", pair.namespace.name, "cat", file])
            return Int(statistics.trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1
        }
        let packet = Frames.ethernet(
            Frames.withChecksum(
                Frames.ipv4(to: "10.2.3.4", from: "192.0.2.9", protocol: 17, Frames.udp(to: 9, Frames.esp))))
        let far = try pair.farEnd()
        #expect(far.send(packet))
        var before = 0
        for _ in 0..<300 where before == 0 {
            usleep(10_000)
            before = try forwarded()
        }
        #expect(before > 0, "without a program the host forwards it")
        _ = try make()
        // A packet from before may still have been under way.
        usleep(100_000)
        before = try forwarded()
        let isOver = Flag()
        async let sent: Void = onOwnThread { while !isOver.isSet { _ = far.send(packet) } }
        defer { isOver.set() }
        for _ in 0..<5 { _ = try make() }
        isOver.set()
        await sent
        usleep(100_000)
        #expect(try forwarded() == before)
    }

    /// A start that fails puts back what was there.
    @Test func failedStartKeepsThePredecessor() throws {
        let old = try open().program.id
        let failed = try open(start: false)
        #expect(try pair.programs() == [failed.program.id])
        try pair.namespace.perform { failed.close() }
        #expect(try pair.programs() == [old])
        #expect(throws: XDPError.self) {
            var options = PortOptions(.native, ringSize: 64)
            options.copyMode = .zeroCopy
            _ = try pair.open(umem: umem, options: options)
        }
        #expect(try pair.programs() == [old])
        #expect(try pair.namespace.perform { try SteeringProgram.detach(from: pair.port) })
        let first = try open(mode: .generic, start: false)
        try pair.namespace.perform { first.close() }
        #expect(try pair.programs() == [])
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

    /// The kernel takes a killed process's sockets down and leaves its program, which a restart at once replaces.
    @Test func killedProcessLeavesItsProgram() async throws {
        await #expect(processExitsWith: .signal(SIGKILL)) { [name = pair.namespace.name as String] in
            let error = sluice_test_enter_namespace(Foundation.open("/run/netns/\(name)", O_RDONLY))
            guard error == 0 else { throw TestFailure(description: "setns: errno \(error)") }
            let port = try XDPPort(
                interface: "port", roles: .wan, umem: UMEM(frames: 64), tables: PortPair.tables(),
                options: PortOptions(.auto, ringSize: 64))
            try port.start()
            kill(getpid(), SIGKILL)
        }
        let left = try #require(try pair.steering())
        let port = try open()
        #expect(try pair.programs() == [port.program.id] && port.program.id != left)
    }

    /// Under the systemd unit the gateway has no CAP_SYS_ADMIN, without which the kernel gives no program by its id.
    @Test(arguments: [true, false])
    func predecessorIsFoundWithFewCapabilities(hasPinned: Bool) async throws {
        await #expect(processExitsWith: .success) {
            [name = pair.namespace.name as String, hasPinned = hasPinned as Bool] in
            var error = sluice_test_enter_namespace(Foundation.open("/run/netns/\(name)", O_RDONLY))
            if error == 0 { error = sluice_test_mount_bpf() }
            guard error == 0 else { throw TestFailure(description: "errno \(error)") }
            func open() throws -> UInt32 {
                let port = try XDPPort(
                    interface: "port", roles: .wan, umem: UMEM(frames: 64), tables: PortPair.tables(),
                    options: PortOptions(.auto, ringSize: 64))
                try port.start()
                return port.program.id
            }
            let first = try open()
            if !hasPinned {
                for file in try FileManager.default.contentsOfDirectory(atPath: "/sys/fs/bpf/sluice") {
                    unlink("/sys/fs/bpf/sluice/" + file)
                }
            }
            guard sluice_test_drop_capabilities() == 0 else { exit(2) }
            do {
                let second = try open()
                guard hasPinned, try SteeringProgram.attached(to: "port") == second, second != first else { exit(3) }
                guard try SteeringProgram.detach(from: "port") else { exit(4) }
                guard try SteeringProgram.attached(to: "port") == nil else { exit(5) }
            } catch {
                if case .foreignProgram = error as? XDPError { exit(hasPinned ? 6 : 0) }
                exit(7)
            }
        }
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
