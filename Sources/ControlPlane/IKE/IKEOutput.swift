import IKEv2
import Logging
import NIOCore
import Packets

/// The outside of the session manager: datagrams, names, log, observers.
final class IKEOutput: ManagerOutput {
    let sockets: IKESockets
    var observers = EventObservers()
    /// Gives the addresses of a name back to the manager.
    var resolved: (([IPAddress], UInt64) -> Void)?
    private let dataplane: any ChildDataplane
    private let eventLoop: any EventLoop
    /// Messages of this round of the event loop. They are sent together at its end, so that the SAs that they announce
    /// become live together before that.
    private var waiting: [(message: [UInt8], path: Path)] = []
    private let resolver: NameResolver
    private let isUnknownNeighbour: (IPAddress) -> Bool
    private let log: EventLog
    private let keyLog: KeyLogFile?

    init(
        sockets: IKESockets, dataplane: any ChildDataplane, keyLog: KeyLogFile?,
        needsNeighbour: @escaping (IPAddress) -> Bool = { _ in false }, clock: @escaping () -> UInt64,
        eventLoop: any EventLoop, logger: Logger
    ) {
        isUnknownNeighbour = needsNeighbour
        self.sockets = sockets
        self.dataplane = dataplane
        self.eventLoop = eventLoop
        self.keyLog = keyLog
        resolver = NameResolver(eventLoop: eventLoop)
        log = EventLog(logger: logger, clock: clock)
    }

    func send(_ datagram: [UInt8], path: Path) {
        waiting.append((datagram, path))
        guard waiting.count == 1 else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute { bound.value.flush() }
    }

    /// Sends what waits, once all workers have what it announces.
    func flush() {
        guard !waiting.isEmpty else { return }
        dataplane.settle()
        let messages = waiting
        waiting = []
        for (message, path) in messages { sockets.send(message, path: path) }
    }

    func sendKeepalive(path: Path) { sockets.sendKeepalive(path: path) }

    func sourceAddress(towards remote: IPAddress) -> IPAddress? { sockets.sourceAddress(towards: remote) }

    func needsNeighbour(_ remote: IPAddress) -> Bool { isUnknownNeighbour(remote) }

    func resolve(_ name: String, request: UInt64) {
        resolver.resolve(name) { [weak self] addresses in self?.resolved?(addresses, request) }
    }

    func report(_ event: ManagerEvent) {
        log.write(event)
        observers.tell(event)
    }

    var logsKeys: Bool { keyLog != nil }

    func logKeys(_ line: KeyLogLine) { keyLog?.write(line) }
}
