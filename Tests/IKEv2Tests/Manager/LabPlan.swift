import Cryptography
import IKEv2
import IPsec
import Packets
import Testing

func ip(_ text: String) -> IPAddress { IPAddress(text) ?? IPAddress(ipv4: 0) }

func prefix(_ text: String) -> AddressRange { IPPrefix(text).map { AddressRange($0) } ?? .any(.ipv4) }

/// Two gateways, moon (192.0.2.1, 10.1.0.0/16) and sun (192.0.2.2, 10.2.0.0/16), with a pre-shared key.
final class MoonAndSun {
    let lab = Lab()
    let moon: LabHost
    let sun: LabHost

    init(settings: ProtocolSettings = .impatient) {
        moon = lab.addHost("192.0.2.1", settings: settings)
        sun = lab.addHost("192.0.2.2", settings: settings)
        for host in [moon, sun] { host.manager.credentials.sharedKeys = [.lab] }
    }

    var now: Instant { lab.now }

    /// Moon's configuration; sun is a responder by default.
    func load(
        _ change: (inout Connection) -> Void = { _ in }, sun changeSun: (inout Connection) -> Void = { _ in }
    ) {
        var connection = Connection.moonToSun
        change(&connection)
        var answering = Connection.sunToMoon
        changeSun(&answering)
        sun.manager.load([answering], replacingAll: true, at: now)
        moon.manager.load([connection], replacingAll: true, at: now)
    }

    /// Loads both ends and brings the child `net` up from moon.
    func bringUp(
        _ change: (inout Connection) -> Void = { _ in }, sun changeSun: (inout Connection) -> Void = { _ in }
    ) {
        load(change, sun: changeSun)
        #expect(initiate("net"))
        lab.run(seconds: 1)
        expectTunnel()
    }

    /// Initiates at moon and waits for the outcome; true: it is up.
    func initiate(_ child: String?, connection: String? = "sun", within seconds: Double = 60) -> Bool {
        var outcome: Result<Void, Explanation>?
        moon.manager.initiate(connection: connection, child: child, at: now) { outcome = $0 }
        lab.run(within: seconds) { outcome != nil }
        if case .success = outcome { return true }
        return false
    }

    /// The number of SAs that ended at moon, once they have; nil: there were none.
    func terminate(_ filter: SAFilter, within seconds: Double = 10) -> Int? {
        var outcome: Result<Int, Explanation>?
        moon.manager.terminate(filter, force: false, at: now) { outcome = $0 }
        lab.run(within: seconds) { outcome != nil }
        return try? outcome?.get()
    }

    /// Both ends send through SAs that the other end has, with the same keys.
    func expectTunnel(_ child: String = "net", sourceLocation: SourceLocation = #_sourceLocation) {
        for (sender, receiver) in [(moon, sun), (sun, moon)] {
            guard let outbound = sender.dataplane.active(child) else {
                Issue.record("\(sender.address) has no SA for \(child)", sourceLocation: sourceLocation)
                continue
            }
            let inbound = receiver.dataplane.inbound[outbound.outboundSPI]
            #expect(inbound?.inboundKey == outbound.outboundKey, sourceLocation: sourceLocation)
        }
        expectOrder(sourceLocation: sourceLocation)
    }

    /// Packets that both ends send now find an SA when they arrive, one way through the network later.
    func expectPacketsArrive(_ child: String = "net", sourceLocation: SourceLocation = #_sourceLocation) {
        let sent = [(moon, sun), (sun, moon)].map { ($0.dataplane.active(child), $1) }
        lab.run(seconds: lab.delay / .seconds(1))
        for (outbound, receiver) in sent {
            #expect(outbound.map(receiver.dataplane.receive) == true, sourceLocation: sourceLocation)
        }
    }

    /// Nothing was out of order in the dataplanes.
    func expectOrder(sourceLocation: SourceLocation = #_sourceLocation) {
        for host in [moon, sun] { #expect(host.dataplane.violations == [], sourceLocation: sourceLocation) }
    }

    /// Nothing is left at either end.
    func expectNothingLeft(sourceLocation: SourceLocation = #_sourceLocation) {
        lab.run(seconds: 10)
        expectOrder(sourceLocation: sourceLocation)
        for host in [moon, sun] {
            #expect(host.manager.counters.sessions == 0, sourceLocation: sourceLocation)
            #expect(host.manager.counters.halfOpen == 0, sourceLocation: sourceLocation)
            #expect(host.dataplane.isEmpty, sourceLocation: sourceLocation)
        }
    }
}

extension Connection {
    static var moonToSun: Connection { between("moon", "192.0.2.1", "10.1.0.0/16", "sun", "192.0.2.2", "10.2.0.0/16") }
    static var sunToMoon: Connection { between("sun", "192.0.2.2", "10.2.0.0/16", "moon", "192.0.2.1", "10.1.0.0/16") }

    /// Named like the peer, with one child `net`.
    static func between(
        _ name: String, _ address: String, _ network: String, _ peer: String, _ peerAddress: String,
        _ peerNetwork: String
    ) -> Connection {
        var connection = Connection(
            name: peer, proposals: IKEProposal.default,
            local: LocalAuthentication(method: .preSharedKey, identity: .domainName("\(name).example.org")),
            remote: RemoteAuthentication(method: .preSharedKey, identity: .domainName("\(peer).example.org")))
        connection.localAddresses = [.range(AddressRange(ip(address)))]
        connection.remoteAddresses = [.range(AddressRange(ip(peerAddress)))]
        connection.children = [.between("net", network, peerNetwork)]
        return connection
    }
}

extension Child {
    static func between(_ name: String, _ local: String, _ remote: String) -> Child {
        var child = Child(name: name, proposals: ChildProposal.default)
        child.localSelectors = [SelectorSide(addresses: prefix(local))]
        child.remoteSelectors = [SelectorSide(addresses: prefix(remote))]
        return child
    }
}

extension Credentials.SharedKey {
    static var lab: Credentials.SharedKey {
        Credentials.SharedKey(name: "ike-lab", owners: [], secret: SecretBytes(copying: Array("the lab's secret".utf8)))
    }
}
