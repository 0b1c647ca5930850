import Cryptography
import IKEv2
import IPsec
import Logging
import TestSupport
import Testing

@testable import Gateway

/// The gateway's replay window is that of negotiated SAs too, unless their child names one.
@Suite struct ChildReplayWindowTests {
    @Test(arguments: [(nil, 64, 64), (nil, 0, 0), (128, 64, 128), (0, 64, 0)] as [(Int?, Int, Int)])
    func window(named: Int?, preset: Int, expected: Int) throws {
        let lab = try ChildLab()
        let sa = try lab.negotiate(ChildLab.Options { $0.replayWindow = named }).left
        let dataplane = GatewayDataplane(
            builder: lab.left.site.builder, configured: [], engine: OpenSSLEngine(), replayWindow: preset,
            logger: Logger(label: "test"))
        try dataplane.installInbound(sa)
        let association = try #require(dataplane.children[sa.inboundSPI]?.inbound)
        #expect(association.status(now: 0).window?.size == expected)
    }
}
