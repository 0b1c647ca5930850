import IPsec
import Logging
import Packets
import Testing

@testable import ControlPlane
@testable import IKEv2

/// A day of two gateways in fast motion: liveness checks, rekeys, reloads every hour, packets in both directions every second,
/// and outages of everything between them and at either end, of one second to two hours.
@Suite struct DayTests {
    @Test(arguments: [UInt64](1...3), DayLab.Style.allCases)
    func tunnelsAreUpWhereverTheyCanBe(seed: UInt64, style: DayLab.Style) {
        let day = DayLab(seed: seed, style: style)
        day.pass(hours: 24)
        #expect(day.outages > 30, "a day without much in it")
        #expect(day.faults.isEmpty, "\(day.faults.count) faults: \(day.faults.prefix(20).joined(separator: "; "))")
        day.pair.expectOrder()
        for host in [day.pair.moon, day.pair.sun] {
            let manager = host.manager
            #expect(manager.table.count <= 2 && host.dataplane.inbound.count <= 2)
            #expect(manager.attempts.isEmpty && !manager.attempts.hasWaiters && manager.terminations.isEmpty)
            #expect(manager.timerCount < 200)
        }
    }
}

/// Moon and sun, the way between them, and a schedule of what goes wrong.
final class DayLab {
    /// How tunnels begin.
    enum Style: CaseIterable {
        /// Moon keeps the tunnel up, sun answers.
        case start
        /// Packets call for the tunnel, at either end.
        case trap
    }

    private enum Outage: CaseIterable {
        /// Nothing arrives at all, or nothing in one direction.
        case path, outward, homeward
        /// Moon has no route.
        case route
        /// The resolver is silent, and moon begins anew.
        case resolver
        /// One end crashes and comes back.
        case moon, sun
    }

    let pair = MoonAndSun()
    private(set) var outages = 0
    private(set) var faults: [String] = []
    private let style: Style
    private let chance: TestEnvironment
    private var second = 0
    /// In seconds of the day. Between outages the end of the last one.
    private var current: (outage: Outage, begin: Int, end: Int)
    private let lines = CountedLines()
    private var logs: [IPAddress: EventLog] = [:]
    private var eventsRead: [IPAddress: Int] = [:]

    /// Seconds within which packets arrive again.
    private static var patience: Int { 5 }

    init(seed: UInt64, style: Style) {
        self.style = style
        chance = TestEnvironment(seed: seed)
        current = (.path, -1, 0)
        pair.lab.loses = { [unowned self] _, path in loses(path) }
        pair.lab.names = ["sun.example.org": [pair.sun.address]]
        for host in [pair.moon, pair.sun] {
            logs[host.address] = lines.log(of: host.address) { [unowned self] in pair.now }
        }
        load()
    }

    func pass(hours: Int) {
        for _ in 0..<hours * 3600 { passSecond() }
        // What is under way comes to its end, and nothing else begins.
        while isOut { passSecond() }
        (current.begin, current.end) = (.max, .max)
        for _ in 0..<600 { passSecond() }
    }

    private func passSecond() {
        if second == current.end { endOutage() }
        if second == current.begin { beginOutage() }
        if second % 3600 == 1800 { load() }
        pair.lab.run(seconds: 1)
        second += 1
        exchangePackets()
        readLog()
    }

    // MARK: Configuration

    private var moonsConnection: Connection {
        var connection = Connection.moonToSun
        connection.remoteAddresses = [.name("sun.example.org")]
        connection.dpdDelay = 10
        connection.children[0].startAction = style == .start ? .start : .trap
        connection.children[0].deadPeerAction = style == .start ? .restart : .trap
        connection.children[0].closeAction = style == .start ? .start : .trap
        return connection
    }

    private var sunsConnection: Connection {
        var connection = Connection.sunToMoon
        connection.dpdDelay = 10
        connection.children[0].startAction = style == .start ? .none : .trap
        return connection
    }

    private func load() {
        pair.sun.manager.load([sunsConnection], replacingAll: true, at: pair.now)
        pair.moon.manager.load([moonsConnection], replacingAll: true, at: pair.now)
    }

    // MARK: Outages

    private var isOut: Bool { second >= current.begin && second < current.end }

    private func loses(_ path: Path) -> Bool {
        guard isOut else { return false }
        return switch current.outage {
        case .path, .moon, .sun, .route: true
        case .outward: path.local.address == pair.moon.address
        case .homeward: path.local.address == pair.sun.address
        case .resolver: false
        }
    }

    private func beginOutage() {
        outages += 1
        switch current.outage {
        case .route: pair.moon.hasNoRoute = true
        case .resolver:
            pair.lab.names = [:]
            pair.moon.restart()
            pair.moon.manager.load([moonsConnection], replacingAll: true, at: pair.now)
        default: break
        }
    }

    private func endOutage() {
        switch current.outage {
        case .route:
            pair.moon.hasNoRoute = false
            pair.moon.manager.networkChanged(at: pair.now)
        case .resolver: pair.lab.names = ["sun.example.org": [pair.sun.address]]
        case .moon:
            pair.moon.restart()
            pair.moon.manager.load([moonsConnection], replacingAll: true, at: pair.now)
        case .sun:
            pair.sun.restart()
            pair.sun.manager.load([sunsConnection], replacingAll: true, at: pair.now)
        default: break
        }
        // As many short ones as long ones, and 2 to 20 minutes of peace.
        let length = 1 << random(13)
        let begin = second + 120 + random(1080)
        current = (
            Outage.allCases[random(Outage.allCases.count)], begin, begin + min(7200, length + random(length))
        )
    }

    private func random(_ limit: Int) -> Int {
        let bytes = chance.random(count: 4)
        return bytes.reduce(0) { $0 << 8 | Int($1) } % limit
    }

    // MARK: Packets

    private var silentSince: [IPAddress: Int] = [:]
    private var lastEnd = 0
    private var lastOutage = "the start"

    private func exchangePackets() {
        for (sender, receiver) in [(pair.moon, pair.sun), (pair.sun, pair.moon)] {
            let arrives = send(from: sender, to: receiver)
            if !arrives, !isOut, second > lastEnd + Self.patience, silentSince[sender.address] == nil {
                silentSince[sender.address] = second
            }
            // Told once, at the end: when packets arrive again, or the next outage comes.
            if arrives || isOut, let since = silentSince.removeValue(forKey: sender.address) {
                faults.append(
                    "\(sender.address) lost packets for \(second - since) s, \(since - lastEnd) s after \(lastOutage)")
            }
        }
        if isOut {
            lastEnd = current.end
            lastOutage = "\(current.outage) of \(current.end - current.begin) s"
        }
    }

    /// One packet, the way that the dataplane would take it, and what the dataplane would tell.
    private func send(from sender: LabHost, to receiver: LabHost) -> Bool {
        guard let sa = sender.dataplane.active("net") else {
            for trap in sender.dataplane.traps {
                sender.manager.handle(.acquire(requestID: trap.requestID, packet: nil), at: pair.now)
            }
            return false
        }
        if pair.now - (sender.dataplane.lastInbound ?? 0) > .milliseconds(1500) {
            sender.manager.handle(.unanswered(inboundSPI: sa.inboundSPI), at: pair.now)
        }
        if loses(Path(local: Endpoint(sender.address, port: 500), remote: Endpoint(receiver.address, port: 500))) {
            return false
        }
        guard receiver.dataplane.receive(by: sa) else {
            receiver.manager.handle(.unknownSPI(sa.outboundSPI, from: sender.address), at: pair.now)
            return false
        }
        receiver.dataplane.lastInbound = pair.now
        return true
    }

    // MARK: The log

    /// No line comes more than ten times an hour.
    private func readLog() {
        for host in [pair.moon, pair.sun] {
            var read = eventsRead[host.address] ?? 0
            if host.events.count < read { read = 0 }
            for event in host.events[read...] { logs[host.address]?.write(event) }
            eventsRead[host.address] = host.events.count
        }
        guard second % 3600 == 0 else { return }
        for (line, count) in lines.counts where count > 10 {
            faults.append("\(count) times in hour \(second / 3600): \(line)")
        }
        lines.counts = [:]
    }
}

/// Counts the lines of a log at its usual level, without their numbers.
private final class CountedLines: @unchecked Sendable {
    /// Used on one thread.
    var counts: [String: Int] = [:]

    func log(of host: IPAddress, clock: @escaping () -> Instant) -> EventLog {
        EventLog(logger: Logger(label: "\(host)") { [self] label in Handler(lines: self, label: label) }, clock: clock)
    }

    private struct Handler: LogHandler {
        let lines: CountedLines
        let label: String
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.info

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let line = String("\(event.message)".map { $0.isNumber ? "#" : $0 })
            lines.counts["\(label): \(line)", default: 0] += 1
        }
    }
}
