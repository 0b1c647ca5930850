import IKEv2
import IPsec
import Packets
import Platform

/// The gateway that is measured: a session manager as the responder, whose processor time is added up.
final class BenchmarkGateway {
    struct Datagram {
        var bytes: [UInt8]
        var path: Path
    }

    let address = BenchmarkPlan.gateway
    private(set) var now: Instant = 1_000_000_000
    private let output = BenchmarkOutput()
    private let dataplane = BenchmarkDataplane()
    private let manager: SessionManager
    private var nanoseconds: UInt64 = 0

    init(dpdDelayInSeconds: UInt64) {
        manager = SessionManager(
            settings: ProtocolSettings(), dataplane: dataplane, output: output, now: now, wallClock: { 0 })
        manager.credentials = BenchmarkPlan.credentials
        var connection = BenchmarkPlan.connection(local: .domainName("gateway.example"), remote: .any)
        connection.dpdDelay = dpdDelayInSeconds
        manager.load([connection], replacingAll: true, at: now)
    }

    /// Processor time so far.
    var seconds: Double { Double(nanoseconds) / 1e9 }

    var sessions: Int { manager.counters.sessions }

    func resetTime() { nanoseconds = 0 }

    func receive(_ bytes: [UInt8], path: Path) {
        let start = SystemClock.ofThread()
        manager.receive(bytes, path: path, at: now)
        nanoseconds += SystemClock.ofThread() - start
    }

    /// Negotiations come at a rate at which they need no cookie, and are no flood.
    func pause() { now += .milliseconds(20) }

    /// The clock moves.
    func advance(by duration: Duration) {
        now += duration
        let start = SystemClock.ofThread()
        if let deadline = manager.nextDeadline, deadline <= now { manager.advance(to: now) }
        nanoseconds += SystemClock.ofThread() - start
    }

    func takeDatagrams() -> [Datagram] {
        defer { output.datagrams.removeAll(keepingCapacity: true) }
        return output.datagrams
    }
}

/// Keeps what is sent, and throws reports away.
private final class BenchmarkOutput: ManagerOutput {
    var datagrams: [BenchmarkGateway.Datagram] = []

    func send(_ datagram: [UInt8], path: Path) {
        datagrams.append(BenchmarkGateway.Datagram(bytes: datagram, path: path))
    }
    func sendKeepalive(path: Path) {}
    func sourceAddress(towards remote: IPAddress) -> IPAddress? { BenchmarkPlan.gateway }
    func resolve(_ name: String, request: UInt64) {}
    func report(_ event: ManagerEvent) {}
    var logsKeys: Bool { false }
    func logKeys(_ line: KeyLogLine) {}
}

/// Installs nothing.
final class BenchmarkDataplane: ChildDataplane {
    private var lastSPI: SPI = 255

    func allocateSPI() throws(InstallationError) -> SPI {
        lastSPI += 1
        return lastSPI
    }
    func releaseSPI(_ spi: SPI) {}
    func installInbound(_ sa: ChildSA) throws(InstallationError) {}
    func installOutbound(_ sa: ChildSA) throws(InstallationError) {}
    func removeInbound(_ sa: ChildSA) {}
    func removeOutbound(_ sa: ChildSA) {}
    func move(_ sa: ChildSA, to path: Path, isEncapsulated: Bool) {}
    func cover(_ cover: ChildCover) throws(InstallationError) {}
    func uncover(connection: String, child: String) {}
    func usage(of sa: ChildSA) -> ChildUsage? { ChildUsage() }
}
