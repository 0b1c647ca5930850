import IPsec
import Packets
import Testing

@testable import IKEv2

/// The installer of CHILD_SAs through its interface, with a dataplane that notes whatever is out of order.
@Suite struct ChildInstallerTests {
    private let parts = ManagerParts()
    private var installer: ChildInstaller { parts.installer }

    /// An SA that is installed both ways.
    private func install(in record: SessionRecord, sentBy outboundSPI: SPI = 77) -> ChildSA {
        let sa = parts.makeSA(sentBy: outboundSPI)
        #expect(installer.installInbound(sa, of: record) == nil)
        #expect(installer.installOutbound(sa) == nil)
        return sa
    }

    @Test func anSAComesAndGoes() {
        let record = parts.establish()
        let sa = parts.makeSA()
        #expect(installer.installInbound(sa, of: record) == nil)
        #expect(!installer.isUp(sa.inboundSPI) && installer.isInstalled(sa.inboundSPI))
        #expect(installer.installOutbound(sa) == nil)
        #expect(installer.isUp(sa.inboundSPI) && installer.find(sa.inboundSPI)?.record === record)
        #expect(installer.removeOutbound(sa).isEmpty && !installer.isUp(sa.inboundSPI))
        #expect(installer.removeInbound(sa, atOnce: true).isEmpty)
        #expect(installer.count == 0 && parts.dataplane.isEmpty && parts.dataplane.violations == [])
    }

    /// Packets under way still arrive; nothing is told of a draining SA any more.
    @Test func itDrains() {
        let record = parts.establish()
        let sa = install(in: record)
        _ = installer.removeOutbound(sa)
        _ = installer.removeInbound(sa, atOnce: false)
        #expect(parts.dataplane.inbound.count == 1 && installer.find(sa.inboundSPI) == nil)
        #expect(parts.context.nextDeadline == parts.context.after(seconds: parts.context.settings.drainInSeconds))
        // A draining SA is not its session's any more.
        #expect(installer.removeAll(of: record).removed.isEmpty)
        #expect(installer.installOutbound(sa) == nil && parts.dataplane.outbound.isEmpty)
        _ = installer.drained(sa.inboundSPI)
        _ = installer.drained(sa.inboundSPI)
        #expect(parts.dataplane.isEmpty && installer.count == 0 && parts.dataplane.violations == [])
    }

    /// The peer believes in it until it is told: its SPI is taken until then.
    @Test func whatIsNotTakenKeepsItsSPI() {
        let record = parts.establish()
        let sa = parts.makeSA()
        parts.dataplane.refusesInbound = "no room"
        let failure = installer.installInbound(sa, of: record)
        #expect(failure?.sa.id == sa.id && failure?.sessionID == record.id)
        #expect(failure?.error.description == "no room")
        #expect(installer.installOutbound(sa) == nil, "its failure is told once")
        #expect(!parts.dataplane.isEmpty, "the SPI is taken")
        _ = installer.removeInbound(sa, atOnce: false)
        #expect(parts.dataplane.isEmpty && parts.dataplane.violations == [])
    }

    @Test func anOutboundHalfThatIsNotTakenIsTold() {
        let record = parts.establish()
        let sa = parts.makeSA()
        #expect(installer.installInbound(sa, of: record) == nil)
        parts.dataplane.refusesOutbound = "no room"
        #expect(installer.installOutbound(sa)?.error.description == "no room")
        #expect(!installer.isUp(sa.inboundSPI))
    }

    @Test func whatASessionLeavesIsRemoved() {
        let record = parts.establish()
        let all = [install(in: record), install(in: record)]
        let other = install(in: parts.establish())
        #expect(installer.removeAll(of: record).removed.map(\.id) == all.map(\.id))
        #expect(Array(parts.dataplane.inbound.keys) == [other.inboundSPI])
        #expect(parts.dataplane.violations == [])
    }

    // MARK: Twins

    /// A second IKE SA has the same child: its SA sends once the peer uses it.
    @Test func aTwinSendsWhenThePeerUsesIt() {
        let old = install(in: parts.establish())
        parts.pass(seconds: 100)
        let record = parts.establish()
        let new = parts.makeSA()
        #expect(installer.installInbound(new, of: record) == nil)
        #expect(installer.installOutboundWhenUsed(new, of: record) == nil)
        #expect(installer.isUp(new.inboundSPI) && parts.dataplane.active("net")?.id == old.id)
        // It was just made: the peer is left alone at first.
        parts.pass(seconds: 0.01)
        #expect(installer.takeOverIfUsed(new.inboundSPI).questions.isEmpty)
        parts.pass(seconds: 0.1)
        #expect(installer.takeOverIfUsed(new.inboundSPI).questions == [record.id])
        #expect(installer.takeOverIfUsed(new.inboundSPI).questions.isEmpty, "it is asked once")
        parts.dataplane.countPacket(by: new)
        #expect(installer.takeOverIfUsed(new.inboundSPI).failure == nil)
        #expect(parts.dataplane.active("net")?.id == new.id && parts.dataplane.violations == [])
    }

    @Test func aTwinSendsWhenTheOldOneGoesOrItsTimeIsOver() {
        let old = install(in: parts.establish())
        for endsEarly in [true, false] {
            let record = parts.establish()
            let new = parts.makeSA()
            _ = installer.installInbound(new, of: record)
            _ = installer.installOutboundWhenUsed(new, of: record)
            #expect(parts.dataplane.outbound[new.inboundSPI] == nil)
            if endsEarly {
                #expect(installer.removeOutbound(old).isEmpty)
            } else {
                parts.pass(seconds: Double(ChildInstaller.graceInSeconds))
                _ = installer.takeOverIfUsed(new.inboundSPI)
            }
            #expect(parts.dataplane.outbound[new.inboundSPI] != nil)
        }
        #expect(parts.dataplane.violations == [])
    }

    /// Without another SA for the same packets there is nothing to wait for.
    @Test func alonePacketsGoAtOnce() {
        let record = parts.establish()
        let sa = parts.makeSA()
        _ = installer.installInbound(sa, of: record)
        #expect(installer.installOutboundWhenUsed(sa, of: record) == nil)
        #expect(parts.dataplane.active("net")?.id == sa.id && parts.context.nextDeadline == nil)
    }

    /// With a twin that is up, even what is to go at once drains.
    @Test func anSAWithATwinDrains() {
        let old = install(in: parts.establish())
        _ = install(in: parts.establish())
        _ = installer.removeOutbound(old)
        _ = installer.removeInbound(old, atOnce: true)
        #expect(parts.dataplane.inbound[old.inboundSPI] != nil)
    }

    // MARK: Questions

    @Test func theSessionOfAnOutboundSPIIsFoundByPeer() {
        let (one, two) = (parts.establish(), parts.establish())
        let first = install(in: one, sentBy: 0x1234)
        let sa = parts.makeSA(to: "192.0.2.9", sentBy: 0x1234)
        _ = installer.installInbound(sa, of: two)
        _ = installer.installOutbound(sa)
        #expect(installer.session(sendingBy: 0x1234, to: ip("192.0.2.2")) === one)
        #expect(installer.session(sendingBy: 0x1234, to: ip("192.0.2.9")) === two)
        #expect(installer.session(sendingBy: 0x1234, to: ip("192.0.2.8")) == nil)
        #expect(installer.session(sendingBy: 0x1235, to: ip("192.0.2.2")) == nil)
        _ = installer.removeOutbound(first)
        #expect(installer.session(sendingBy: 0x1234, to: ip("192.0.2.2")) == nil)
    }

    /// The SAs of a rekeyed IKE SA are those of the new one, whatever ends the old one.
    @Test func childrenFollowARekey() {
        let (old, new) = (parts.establish(), parts.establish())
        let sa = install(in: old)
        let left = install(in: old)
        installer.inherit([sa], from: old, to: new)
        #expect(installer.find(sa.inboundSPI)?.record === new && installer.find(left.inboundSPI)?.record === old)
        #expect(installer.removeAll(of: old).removed.map(\.id) == [left.id])
        #expect(installer.isUp(sa.inboundSPI))
    }

    @Test func aMoveIsFollowed() {
        let record = parts.establish()
        let sa = install(in: record, sentBy: 5)
        let path = Path(local: sa.path.local, remote: Endpoint(ip("198.51.100.1"), port: 4500))
        installer.move(sa, to: path, isEncapsulated: true)
        #expect(installer.find(sa.inboundSPI)?.sa.path == path)
        #expect(installer.session(sendingBy: 5, to: ip("198.51.100.1")) === record)
        #expect(parts.dataplane.moves == 1)
    }
}
