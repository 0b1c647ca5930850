import IKEv2
import IPsec
import Packets
import Testing

/// The host's own address changes under an IKE SA.
@Suite struct LostAddressTests {
    private let next = ip("192.0.2.9")

    private func lab(_ change: @escaping (inout Connection) -> Void = { _ in }) -> MoonAndSun {
        let pair = MoonAndSun()
        pair.lab.addAddress(next, of: pair.moon)
        pair.bringUp(
            {
                $0.localAddresses = []
                change(&$0)
            }, sun: { $0.remoteAddresses = [] })
        return pair
    }

    @Test func theTunnelsFollowAtOnce() throws {
        let pair = lab()
        let old = try #require(pair.moon.dataplane.active("net"))
        pair.moon.source = next
        pair.moon.manager.networkChanged([next], at: pair.now)
        pair.lab.run(seconds: 0.2)
        pair.expectTunnel()
        #expect(pair.moon.dataplane.active("net")?.path.local.address == next)
        #expect(pair.moon.dataplane.active("net")?.inboundSPI != old.inboundSPI)
        for host in [pair.moon, pair.sun] { #expect(host.manager.counters.sessions == 1) }
        // Once.
        pair.moon.manager.networkChanged([next], at: pair.now)
        pair.lab.run(seconds: 60)
        #expect(pair.moon.manager.counters.initiated == 2 && pair.moon.dataplane.inbound.count == 1)
    }

    /// Between two addresses there may be none; the old one may come back.
    @Test(arguments: [true, false])
    func withoutAnotherAddressItWaits(comesBack: Bool) throws {
        let pair = lab()
        let old = try #require(pair.moon.dataplane.active("net"))
        pair.moon.hasNoRoute = true
        pair.moon.manager.networkChanged([], at: pair.now)
        pair.lab.run(seconds: 3)
        #expect(pair.moon.dataplane.active("net")?.inboundSPI == old.inboundSPI)
        pair.moon.hasNoRoute = false
        if !comesBack { pair.moon.source = next }
        pair.moon.manager.networkChanged([comesBack ? pair.moon.address : next], at: pair.now)
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
        #expect((pair.moon.dataplane.active("net")?.inboundSPI == old.inboundSPI) == comesBack)
    }

    /// `local_addrs` names the address that is lost: there is no other one to go to.
    @Test func aConfiguredAddressIsNotLeft() throws {
        let pair = lab { $0.localAddresses = [.range(AddressRange(ip("192.0.2.1")))] }
        pair.moon.manager.networkChanged([next], at: pair.now)
        pair.lab.run(seconds: 1)
        #expect(pair.moon.manager.counters.initiated == 1)
    }

    /// Another address that is better by now is no reason to leave one that is there.
    @Test func anAddressThatIsThereIsKept() {
        let pair = lab()
        pair.moon.source = next
        pair.moon.manager.networkChanged([next, pair.moon.address], at: pair.now)
        pair.lab.run(seconds: 1)
        #expect(pair.moon.manager.counters.initiated == 1)
    }

    @Test func aTunnelThatTheOperatorBroughtUpComesBackToo() {
        let pair = lab { $0.children[0].startAction = .none }
        pair.moon.source = next
        pair.lab.loses = { _, _ in true }
        pair.moon.manager.networkChanged([next], at: pair.now)
        pair.lab.run(seconds: 300)
        pair.lab.loses = { _, _ in false }
        #expect(pair.lab.run(within: 5) { pair.moon.dataplane.active("net") != nil })
        #expect(pair.moon.manager.rememberedTunnels.count == 1)
    }
}
