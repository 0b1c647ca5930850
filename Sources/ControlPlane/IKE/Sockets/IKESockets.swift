import IKEv2
import Logging
import NIOCore
import Packets
import Platform

/// The ports of IKE: plain, and shared with encapsulated ESP (RFC 7296 section 2.23).
package struct IKEPorts: Hashable, Sendable {
    package var plain: UInt16
    package var encapsulated: UInt16

    package init(plain: UInt16 = IPsecPort.keyExchange, encapsulated: UInt16 = IPsecPort.encapsulation) {
        self.plain = plain
        self.encapsulated = encapsulated
    }
}

/// The sockets of IKE, both ports in both families, on all addresses of the host: those that it gets later too.
///
/// Belongs to one event loop; all calls but `open` are made there.
package final class IKESockets {
    package private(set) var counters = IKEDatagramCounters()
    private let sockets: [IKESocket]
    /// At the same ports, for datagrams of peers that are not known.
    private let strangersSockets: [IKESocket]
    private let steerings: [PeerSteering]
    private(set) var receivers: [IKEReceiver] = []
    /// Interfaces that link-local peers were last heard on.
    private var scopes: [IPAddress: UInt32] = [:]
    private let interface: (IPAddress) -> UInt32
    private let logger: Logger

    private static let mostScopes = 1024

    /// Opens all sockets; a family that the kernel does not have is left out.
    ///
    /// - `addresses`: instead of all, in tests: at most one of each family.
    /// - `interface`: the way out to a peer to which the kernel's routes would lead through a tunnel; 0: they are right.
    package init(
        ports: IKEPorts = IKEPorts(), addresses: [IPAddress] = [],
        interface: @escaping (IPAddress) -> UInt32 = { _ in 0 }, logger: Logger
    ) throws(IKESocketError) {
        self.logger = logger
        self.interface = interface
        var opened: [IKESocket] = []
        for family in [AddressFamily.ipv4, .ipv6] {
            let address = addresses.first { $0.family == family }
            if !addresses.isEmpty, address == nil { continue }
            for (port, hasMarker) in [(ports.plain, false), (ports.encapsulated, true)] {
                guard let socket = try IKESocket.open(family, port: port, hasMarker: hasMarker, address: address)
                else { continue }
                opened.append(socket)
            }
        }
        sockets = opened
        let steerings = Set(opened.map(\.family)).compactMap { family in PeerSteering(family).map { (family, $0) } }
        strangersSockets = opened.compactMap { socket in
            guard let steering = steerings.first(where: { $0.0 == socket.family })?.1 else { return nil }
            return socket.openForStrangers(steering, address: addresses.first { $0.family == socket.family })
        }
        self.steerings = steerings.map(\.1)
        if strangersSockets.count < sockets.count {
            logger.warning("IKE reads known peers and strangers from one queue: the kernel lets us have no BPF program")
        }
    }

    /// Peers whose datagrams come before those of strangers.
    func setKnown(_ addresses: Set<IPAddress>) {
        for steering in steerings { steering.setKnown(addresses) }
    }

    /// The families and ports that are open, e.g. "IPv4 500".
    package var names: [String] { sockets.map { "\($0.family.name) \($0.port)" } }

    /// The port that is open for a family: 500 and 4500, unless others were asked for.
    func port(_ family: AddressFamily, hasMarker: Bool) -> UInt16? {
        sockets.first { $0.family == family && $0.hasMarker == hasMarker }?.port
    }

    // MARK: In

    /// Begins to read. `deliver` gets each IKE message, without marker.
    /// - `clock`: the gateway's clock, for the share of strangers.
    package func start(
        on eventLoop: any EventLoop,
        clock: @escaping () -> Instant = {
            Instant(nanoseconds: NIODeadline.now().uptimeNanoseconds)
        },
        deliver: @escaping ([UInt8], Path) -> Void
    ) {
        let gate = StrangerGate(on: eventLoop, clock: clock)
        let gated = sockets.map { ($0, nil) } + strangersSockets.map { ($0, gate) }
        receivers = gated.map { socket, gate in
            let hasMarker = socket.hasMarker
            return IKEReceiver(socket, on: eventLoop, gate: gate, logger: logger) { [weak self] datagram in
                self?.take(datagram, hasMarker: hasMarker, deliver)
            }
        }
        for receiver in receivers { receiver.start() }
    }

    private func take(_ datagram: ReceivedDatagram?, hasMarker: Bool, _ deliver: ([UInt8], Path) -> Void) {
        guard let datagram, !datagram.path.local.address.isMulticast, datagram.path.remote.port != 0 else {
            counters.malformed += 1
            return
        }
        switch IKEDatagram(datagram.bytes, hasMarker: hasMarker) {
        case .keepalive: counters.keepalivesReceived += 1
        case .esp: counters.espReceived += 1
        case .malformed: counters.malformed += 1
        case .message(let message):
            counters.received += 1
            remember(datagram)
            deliver(message, datagram.path)
        }
    }

    /// A link-local peer can only be answered on the interface that it was heard on.
    private func remember(_ datagram: ReceivedDatagram) {
        let remote = datagram.path.remote.address
        guard remote.family == .ipv6, remote.isLinkLocal else { return }
        if scopes[remote] == nil, scopes.count >= Self.mostScopes { scopes.removeAll() }
        scopes[remote] = datagram.interfaceIndex
    }

    /// Closes all. What comes is the kernel's to refuse from now on.
    package func stop() {
        for receiver in receivers { receiver.stop() }
        receivers = []
    }

    // MARK: Out

    /// Sends an IKE message; the port of `path.local` decides whether it gets a marker.
    package func send(_ message: [UInt8], path: Path) {
        if transmit(message, path: path, isMessage: true) { counters.sent += 1 }
    }

    /// Our address towards a peer; nil when it cannot be reached.
    func sourceAddress(towards remote: IPAddress) -> IPAddress? {
        SourceAddress.towards(remote, interface: interface(remote))
    }

    package func sendKeepalive(path: Path) {
        if transmit(IKEDatagram.keepaliveBytes, path: path, isMessage: false) { counters.keepalivesSent += 1 }
    }

    private func transmit(_ bytes: [UInt8], path: Path, isMessage: Bool) -> Bool {
        let (local, remote) = (path.local, path.remote)
        guard let socket = sockets.first(where: { $0.family == local.address.family && $0.port == local.port }) else {
            counters.sendFailures += 1
            logger.warning("no IKE socket for \(local)", metadata: ["peer": "\(remote)"])
            return false
        }
        let failure = socket.send(
            bytes, from: local.address, to: remote, marker: isMessage && socket.hasMarker,
            interface: scopes[remote.address] ?? interface(remote.address))
        guard let failure else { return true }
        counters.sendFailures += 1
        // Retransmission tries again, and ends in an error of its own.
        logger.info(
            "datagram not sent",
            metadata: ["from": "\(local)", "to": "\(remote)", "error": "\(failure)"])
        return false
    }
}
