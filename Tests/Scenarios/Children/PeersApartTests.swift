import Dataplane
import IKEv2
import IPsec
import Packets
import Policy
import Telemetry
import TestSupport
import Testing

@testable import Gateway

/// Traffic of several peers: each gets what the configuration gives it, whatever it negotiates.
@Suite struct PeersApartTests {
    private func host(_ lab: ChildLab) -> TrafficSelector {
        TrafficSelector(
            source: AddressRange(lab.left.site.plan.host(.ipv4)),
            destination: AddressRange(lab.right.site.plan.host(.ipv4)))
    }

    private var everything: TrafficSelector { .any(.ipv4) }

    /// `cloud` may have everything, `branch` a network. The cloud's peer agrees to the smallest selector that there is.
    @Test(arguments: [true, false])
    func aPeerThatNarrowsGetsNothingOfOthers(isBranchUp: Bool) throws {
        let lab = try ChildLab()
        for site in [lab.left, lab.right] {
            let networks = [site === lab.left ? lab.wholeNetworks[0] : lab.wholeNetworks[0].reversed]
            try site.dataplane.cover(lab.cover(connection: "cloud", requestID: 1, selectors: [everything], rank: 1))
            try site.dataplane.cover(lab.cover(connection: "branch", requestID: 2, selectors: networks, rank: 2))
        }
        // As one peer of many, with a request id of its own, and as the only one.
        for id in [UInt32(1), 9] {
            let cloud = try lab.connect(
                ChildLab.Options {
                    $0.connection = "cloud"
                    $0.requestID = id
                    $0.selectors = [self.host(lab)]
                })
            let branch =
                try isBranchUp
                ? lab.connect(
                    ChildLab.Options {
                        $0.connection = "branch"
                        $0.requestID = 2
                        $0.selectors = [lab.wholeNetworks[0]]
                    }) : nil
            #expect(lab.carries() == isBranchUp && lab.carriesBack() == isBranchUp)
            #expect(lab.left.dataplane.usage(of: cloud.left)?.outboundPackets == 0)
            lab.remove(cloud)
            if let branch { lab.remove(branch) }
        }
    }

    /// What the cloud's peer sends in the branch's name is not let in.
    @Test(arguments: [UInt32(1), 9])
    func aPeerThatNarrowsSendsNothingForOthers(requestID: UInt32) throws {
        let lab = try ChildLab()
        try lab.left.dataplane.cover(lab.cover(connection: "cloud", requestID: 1, selectors: [everything], rank: 1))
        try lab.left.dataplane.cover(
            lab.cover(connection: "branch", requestID: 2, selectors: [lab.wholeNetworks[0]], rank: 2))
        // The right site has nothing but the cloud's SA.
        let cloud = try lab.connect(
            ChildLab.Options {
                $0.connection = "cloud"
                $0.requestID = requestID
                $0.selectors = [self.host(lab)]
            })
        #expect(!lab.carriesBack() && lab.left.site.drops == [.inboundProtectionMismatch: 5])
        #expect(!lab.carries() && lab.left.site.drops == [.inboundProtectionMismatch: 5, .noOutboundSA: 5])
        // Elsewhere it may.
        lab.left.dataplane.uncover(connection: "branch", child: "net")
        #expect(lab.carries() && lab.carriesBack())
        lab.remove(cloud)
    }

    /// The operator hears of it, and of nothing that is in order.
    @Test func narrowingIntoAnotherChildIsSeen() throws {
        let lab = try ChildLab()
        try lab.left.dataplane.cover(lab.cover(connection: "cloud", requestID: 1, selectors: [everything], rank: 1))
        try lab.left.dataplane.cover(
            lab.cover(connection: "branch", requestID: 2, selectors: [lab.wholeNetworks[0]], rank: 2))
        func overshadowed(_ connection: String, _ selectors: [TrafficSelector]) throws -> String? {
            let pair = try lab.negotiate(
                ChildLab.Options {
                    $0.connection = connection
                    $0.selectors = selectors
                })
            return lab.left.dataplane.covers.overshadowed(pair.left)?.owner
        }
        #expect(try overshadowed("cloud", [host(lab)]) == "branch/net")
        #expect(try overshadowed("cloud", [everything]) == nil)
        #expect(try overshadowed("cloud", [host(lab).reversed]) == nil)
        #expect(try overshadowed("branch", [host(lab)]) == nil)
        #expect(try overshadowed("branch", [lab.wholeNetworks[0]]) == nil)
    }

    /// Two gateways of one site, both up: what comes from either is taken, and packets go by the first that is up.
    @Test(arguments: [1, 2])
    func activeAndStandby(workers: Int) throws {
        let lab = try ChildLab(workers: workers)
        for site in [lab.left, lab.right] {
            let networks = site === lab.left ? lab.wholeNetworks : lab.wholeNetworks.map(\.reversed)
            // The standby one is loaded first.
            try site.dataplane.cover(lab.cover(connection: "standby", requestID: 4, selectors: networks, rank: 2))
            try site.dataplane.cover(lab.cover(connection: "active", requestID: 3, selectors: networks, rank: 1))
        }
        func connect(_ name: String) throws -> ChildPair {
            try lab.connect(
                ChildLab.Options {
                    $0.connection = name
                    $0.requestID = name == "active" ? 3 : 4
                })
        }
        func sent(_ pair: ChildPair) -> UInt64? { lab.left.dataplane.usage(of: pair.left)?.outboundPackets }
        let standby = try connect("standby")
        #expect(lab.carries() && lab.carriesBack() && sent(standby) == 5)
        let active = try connect("active")
        #expect(lab.carries() && lab.carriesBack() && sent(standby) == 5 && sent(active) == 5)
        // A rekey of the standby one makes it newer, and does not move the traffic.
        let rekeyed = try connect("standby")
        lab.remove(standby)
        #expect(lab.carries() && lab.carriesBack() && sent(rekeyed) == 0 && sent(active) == 10)
        // The other end sends by the other one.
        lab.right.dataplane.removeOutbound(active.right)
        #expect(lab.carries() && lab.carriesBack())
        // The active one dies, and comes back.
        lab.remove(active)
        #expect(lab.carries() && lab.carriesBack() && sent(rekeyed) == 5)
        let again = try connect("active")
        #expect(lab.carries() && sent(again) == 5 && sent(rekeyed) == 5)
        #expect(lab.left.site.drops == [:] && lab.right.site.drops == [:])
        lab.remove(again)
        lab.remove(rekeyed)
        #expect(!lab.carries() && lab.left.site.drops == [.noOutboundSA: 5])
        for name in ["active", "standby"] { lab.left.dataplane.uncover(connection: name, child: "net") }
        #expect(lab.left.leftovers == "")
    }

    /// Peers of one connection: each part of the network goes to the peer that has it, the rest to nobody.
    @Test func partsOfOneConnection() throws {
        let lab = try ChildLab()
        try lab.left.dataplane.cover(lab.cover(acquires: true))
        func part(_ first: UInt32, _ id: UInt32) throws -> ChildPair {
            let destination = try #require(
                AddressRange(
                    first: lab.right.site.plan.host(.ipv4, first), last: lab.right.site.plan.host(.ipv4, first + 9)))
            return try lab.connect(
                ChildLab.Options {
                    $0.requestID = id
                    $0.selectors = [
                        TrafficSelector(source: lab.wholeNetworks[0].source, destination: destination, protocol: 17)
                    ]
                })
        }
        func send(_ number: UInt32) -> [DataplaneEvent] {
            lab.network.clock.advance(milliseconds: 1_000)
            let packet = IPPacket(
                from: lab.left.site.plan.host(.ipv4), to: lab.right.site.plan.host(.ipv4, number), size: 100)
            lab.left.site.receiveFromLAN([packet.bytes])
            _ = lab.left.site.takeWAN()
            return lab.left.news()
        }
        let (one, two) = (try part(10, 21), try part(20, 22))
        func sent(_ pair: ChildPair) -> UInt64? { lab.left.dataplane.usage(of: pair.left)?.outboundPackets }
        #expect(send(15) == [] && sent(one) == 1 && sent(two) == 0)
        #expect(send(25) == [] && sent(one) == 1 && sent(two) == 1)
        guard case .acquire(requestID: 7, packet: _)? = send(35).first else {
            Issue.record("nobody was asked")
            return
        }
        // One that has it all shares the policy of the connection.
        lab.remove(one)
        lab.remove(two)
        let whole = try lab.connect(ChildLab.Options { $0.requestID = 23 })
        #expect(send(35) == [] && sent(whole) == 1)
        lab.remove(whole)
        #expect(send(35).count == 1)
    }

    /// A peer that may be anywhere, with its own address for a network, goes after whoever has that by name.
    @Test func aDynamicAddressIsNoNarrowNetwork() throws {
        let lab = try ChildLab()
        try lab.left.dataplane.cover(
            lab.cover(connection: "branch", requestID: 2, selectors: [lab.wholeNetworks[0]], rank: 2))
        let guest = try lab.connect(
            ChildLab.Options {
                $0.connection = "guests"
                $0.requestID = 5
                $0.selectors = [self.host(lab)]
            })
        #expect(!lab.carries() && lab.left.site.drops == [.noOutboundSA: 5])
        #expect(!lab.carriesBack() && lab.left.site.drops[.inboundProtectionMismatch] == 5)
        lab.left.dataplane.uncover(connection: "branch", child: "net")
        #expect(lab.carries() && lab.carriesBack())
        lab.remove(guest)
        #expect(lab.left.leftovers == "")
    }
}
