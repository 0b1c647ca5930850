import IKEv2
import Logging
import NIOCore
import Packets

/// What the session manager wants done outside, done: datagrams, names, log, observers.
final class IKEOutput: ManagerOutput {
    let sockets: IKESockets
    var observers = EventObservers()
    /// Gives the addresses of a name back to the manager.
    var resolved: (([IPAddress], UInt64) -> Void)?
    private let resolver: NameResolver
    private let log: EventLog
    private let keyLog: KeyLogFile?

    init(sockets: IKESockets, keyLog: KeyLogFile?, eventLoop: any EventLoop, logger: Logger) {
        self.sockets = sockets
        self.keyLog = keyLog
        resolver = NameResolver(eventLoop: eventLoop)
        log = EventLog(logger: logger)
    }

    func send(_ datagram: [UInt8], path: Path) { sockets.send(datagram, path: path) }

    func sendKeepalive(path: Path) { sockets.sendKeepalive(path: path) }

    func sourceAddress(towards remote: IPAddress) -> IPAddress? { sockets.sourceAddress(towards: remote) }

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
