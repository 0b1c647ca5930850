import Packets
import Testing

@testable import IKEv2

/// The remembered tunnels, without a manager.
@Suite struct TunnelMemoryStateTests {
    private let memory = TunnelMemory()
    private let net = ChildName(connection: "sun", child: "net")

    private func tunnel(_ child: String, peer: String? = nil, connection: String = "sun") -> RememberedTunnel {
        RememberedTunnel(connection: connection, child: child, peer: peer.map { Endpoint(ip($0), port: 500) })
    }

    @Test func theVersionSaysWhatHasChanged() {
        let parts = ManagerParts()
        let sa = parts.makeSA()
        memory.remember(sa, hasKnownRemote: true)
        let version = memory.version
        memory.remember(sa, hasKnownRemote: true)
        #expect(memory.version == version && memory.tunnels == [tunnel("net")] && memory.has(net))
        memory.remember(sa, hasKnownRemote: false)
        #expect(memory.tunnels.count == 2 && memory.version != version)
        memory.remove(sa)
        #expect(memory.tunnels.isEmpty && !memory.has(net))
    }

    @Test func whatWasUpIsRestoredOnce() {
        memory.restore([tunnel("net"), tunnel("net", peer: "192.0.2.2"), tunnel("far")])
        memory.remove(tunnel("far"))
        #expect(Set(memory.takeRestored(net)) == [tunnel("net"), tunnel("net", peer: "192.0.2.2")])
        #expect(memory.takeRestored(net).isEmpty)
        #expect(memory.takeRestored(ChildName(connection: "sun", child: "far")).isEmpty)
        #expect(memory.tunnels.count == 2, "they are remembered on")
    }

    @Test func anOperatorForgetsWhatAFilterNames() {
        memory.restore([tunnel("net"), tunnel("far"), tunnel("net", connection: "mars")])
        memory.forget(SAFilter(connection: "sun", child: "net"))
        #expect(memory.tunnels == [tunnel("far"), tunnel("net", connection: "mars")])
        #expect(memory.takeRestored(net).isEmpty)
        memory.forget(SAFilter())
        #expect(memory.tunnels.isEmpty)
    }

    @Test func actionsSayWhatComesBack() {
        var child = Child(name: "net", proposals: [])
        #expect(!TunnelMemory.keeps(child, isUnwanted: false, closing: nil))
        #expect(TunnelMemory.keeps(child, isUnwanted: true, closing: .superseded), "it has a successor")
        child.closeAction = .start
        #expect(TunnelMemory.keeps(child, isUnwanted: false, closing: nil))
        #expect(!TunnelMemory.keeps(child, isUnwanted: true, closing: nil))
        #expect(!TunnelMemory.keeps(child, isUnwanted: false, closing: .peerDead))
        child.deadPeerAction = .restart
        #expect(TunnelMemory.keeps(child, isUnwanted: false, closing: .peerDead))
    }
}

/// Calls of peers that go on with SAs that are not known here.
@Suite struct PeerCallStateTests {
    private let calls = PeerCalls()
    private let second = Duration.seconds(1)

    @Test func onePeerIsCalledOnceInAWhile() {
        #expect(calls.mayCall("sun", at: 0) && !calls.mayCall("sun", at: .start + second * 9))
        #expect(calls.mayCall("mars", at: 0) && calls.mayCall("sun", at: .start + second * 10))
    }

    @Test func packetsOfDeletedSAsCallNobody() {
        calls.sawDeletion("sun", at: 0)
        #expect(!calls.mayCall("sun", at: .start + second * 29) && calls.mayCall("sun", at: .start + second * 30))
        calls.sawDeletion("sun", at: .start + second * 50)
        calls.allow("sun", nil)
        #expect(calls.mayCall("sun", at: .start + second * 51), "it is wanted again")
    }

    @Test func whatAnOperatorEndsIsNotCalled() {
        let (net, far) = (ChildName(connection: "sun", child: "net"), ChildName(connection: "sun", child: "far"))
        for name in [net, far] { calls.end(name) }
        calls.allow("sun", "net")
        #expect(!calls.isEnded(net) && calls.isEnded(far))
        calls.allow("mars", nil)
        #expect(calls.isEnded(far))
        calls.allow("sun", nil)
        #expect(!calls.isEnded(far))
        calls.end(net)
        calls.keep { $0 != "sun" }
        #expect(!calls.isEnded(net))
    }
}
