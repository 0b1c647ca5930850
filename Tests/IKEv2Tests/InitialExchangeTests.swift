import IKEv2Messages
import Testing

@testable import IKEv2

@Suite struct InitialExchangeTests {
    @Test func anIKESAWithAChildTakesFourMessages() {
        let bench = TwoSessions()
        bench.initiate()
        bench.run()
        let notifies =
            "N(NAT_DETECTION_SOURCE_IP) N(NAT_DETECTION_DESTINATION_IP) N(IKEV2_FRAGMENTATION_SUPPORTED) "
            + "N(SIGNATURE_HASH_ALGORITHMS)"
        #expect(
            bench.trace == [
                "IKE_SA_INIT request 0 [SA KEi Ni \(notifies)] -->",
                "<-- IKE_SA_INIT response 0 [SA KEr Nr \(notifies) N(CHILDLESS_IKEV2_SUPPORTED)]",
                "IKE_AUTH request 1 [SK { IDi N(INITIAL_CONTACT) IDr AUTH SA TSi TSr }] -->",
                "<-- IKE_AUTH response 1 [SK { IDr AUTH SA TSi TSr }]",
            ])
        bench.expectJoined()
        #expect(bench.east.established == [true])
        #expect(bench.west.log == ["send", "send", "installInbound", "installOutbound"])
        #expect(bench.east.log == ["send", "installInbound", "send", "installOutbound"])
    }
}
