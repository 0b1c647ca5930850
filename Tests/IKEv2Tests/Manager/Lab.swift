import IKEv2
import Packets

/// Hosts with session managers, a network between them, and a clock that moves from event to event.
final class Lab {
    /// A datagram on its way, or a question to the resolver.
    private struct Pending {
        var time: Instant
        var action: () -> Void
    }

    private(set) var now: Instant = 1_000_000_000_000
    private(set) var hosts: [IPAddress: LabHost] = [:]
    private var pending: [Pending] = []
    /// One way, nanoseconds.
    var delay: Duration = .milliseconds(10)
    /// Whether a datagram gets lost: its number from 1 on, where from and where to.
    var loses: (_ number: Int, _ path: Path) -> Bool = { _, _ in false }
    private(set) var sent = 0
    /// The datagram that is being sent is an IKE_SA_INIT.
    private(set) var isInitial = false
    /// What the resolver knows.
    var names: [String: [IPAddress]] = [:]
    /// Hosts behind a NAT, and the address that others see.
    var masquerade: [IPAddress: Endpoint] = [:]

    @discardableResult
    func addHost(_ address: String, settings: ProtocolSettings = .impatient) -> LabHost {
        let host = LabHost(address: ip(address), lab: self, settings: settings)
        hosts[host.address] = host
        return host
    }

    /// Another address of a host.
    func addAddress(_ address: IPAddress, of host: LabHost) { hosts[address] = host }

    func transmit(_ datagram: [UInt8], path: Path) {
        sent += 1
        isInitial = datagram.count > 18 && datagram[18] == 34
        if loses(sent, path) { return }
        var source = path.local
        if let outside = masquerade[source.address] {
            source = Endpoint(outside.address, port: source.port == 500 ? outside.port : outside.port + 1)
        }
        let inside = masquerade.first { $0.value.address == path.remote.address }
        pending.append(
            Pending(time: now + delay) { [self] in
                if let inside {
                    let port: UInt16 = path.remote.port == inside.value.port ? 500 : 4500
                    let local = Endpoint(inside.key, port: port)
                    hosts[inside.key]?.receive(datagram, path: Path(local: local, remote: source))
                } else {
                    hosts[path.remote.address]?.receive(datagram, path: Path(local: path.remote, remote: source))
                }
            })
    }

    func later(_ action: @escaping () -> Void) { pending.append(Pending(time: now + .milliseconds(1), action: action)) }

    /// Runs until so much time has passed.
    func run(seconds: Double) { run(until: now + .seconds(seconds)) { false } }

    /// Runs until something holds; false: it did not within `seconds`.
    @discardableResult
    func run(within seconds: Double = 60, until holds: () -> Bool) -> Bool {
        run(until: now + .seconds(seconds), holds)
        return holds()
    }

    private func run(until end: Instant, _ holds: () -> Bool) {
        while !holds() {
            let deadlines =
                Set(hosts.values.map(\.address)).compactMap { hosts[$0] }.compactMap(\.manager.nextDeadline)
                + pending.map(\.time)
            guard let next = deadlines.min(), next <= end else {
                now = max(now, end)
                return
            }
            now = max(now, next)
            let due = pending.filter { $0.time <= now }
            pending.removeAll { $0.time <= now }
            for item in due { item.action() }
            for host in hosts.values.sorted(by: { $0.address < $1.address }) { host.manager.advance(to: now) }
        }
    }
}

/// A gateway of the lab: a manager, its dataplane, and all that it reported.
final class LabHost: ManagerOutput {
    let address: IPAddress
    let settings: ProtocolSettings
    private(set) var manager: SessionManager
    private(set) var dataplane = FakeDataplane()
    private(set) var events: [ManagerEvent] = []
    private(set) var keepalives: [Path] = []
    /// Everything that was sent, until a test forgets it.
    var sent: [[UInt8]] = []
    /// Processor time in nanoseconds that every measured step of this host takes.
    var workOfEachStep: UInt64 = 0
    private var worked: UInt64 = 0
    /// Whether the peers are unknown neighbours on a link of this host.
    var hasUnknownNeighbours = false
    /// The last datagram that was received.
    private(set) var lastReceived: (datagram: [UInt8], path: Path)?
    /// All IKE_SA_INIT requests that were received.
    private(set) var initialRequests: [(datagram: [UInt8], path: Path)] = []
    /// Where its packets come from, when it is another one than `address`.
    var source: IPAddress?
    /// The host has no route to anybody.
    var hasNoRoute = false
    /// Questions of sessions are answered a millisecond later.
    var answersLater = false
    private(set) var answered = 0
    private unowned let lab: Lab

    init(address: IPAddress, lab: Lab, settings: ProtocolSettings) {
        self.address = address
        self.lab = lab
        self.settings = settings
        manager = SessionManager(
            settings: settings, dataplane: dataplane, output: Unconnected(), now: lab.now, wallClock: { 1_700_000_000 })
        restart()
    }

    /// Everything is forgotten, as after a crash.
    func restart() {
        let credentials = manager.credentials
        dataplane = FakeDataplane()
        manager = SessionManager(
            settings: settings, dataplane: dataplane, output: self, now: lab.now, wallClock: { 1_700_000_000 },
            processorTime: { [unowned self] in
                worked += workOfEachStep
                return worked
            })
        manager.credentials = credentials
        events = []
    }

    func receive(_ datagram: [UInt8], path: Path) {
        lastReceived = (datagram, path)
        let isInitialRequest = datagram.count > 19 && datagram[18] == 34 && datagram[19] & 0x20 == 0
        if isInitialRequest { initialRequests.append((datagram, path)) }
        manager.receive(datagram, path: path, at: lab.now)
    }

    func send(_ datagram: [UInt8], path: Path) {
        sent.append(datagram)
        lab.transmit(datagram, path: path)
    }
    func sendKeepalive(path: Path) { keepalives.append(path) }
    func answer(_ question: Question) -> Answer? { answersLater ? nil : question.answer() }
    func ask(_ question: Question, _ id: QuestionID) {
        lab.later { [self] in
            answered += 1
            manager.answered(id, question.answer(), at: lab.now)
        }
    }
    func sourceAddress(towards remote: IPAddress) -> IPAddress? {
        remote.family == address.family && !hasNoRoute ? source ?? address : nil
    }
    func report(_ event: ManagerEvent) { events.append(event) }
    func logKeys(_ line: KeyLogLine) {}

    func needsNeighbour(_ remote: IPAddress) -> Bool { hasUnknownNeighbours }

    func resolve(_ name: String, request: UInt64) {
        lab.later { [self] in manager.resolved(lab.names[name] ?? [], request: request, at: lab.now) }
    }
}

/// Takes everything and does nothing.
final class Unconnected: ManagerOutput {
    func send(_ datagram: [UInt8], path: Path) {}
    func sendKeepalive(path: Path) {}
    func sourceAddress(towards remote: IPAddress) -> IPAddress? { nil }
    func resolve(_ name: String, request: UInt64) {}
    func report(_ event: ManagerEvent) {}
    func logKeys(_ line: KeyLogLine) {}
}
