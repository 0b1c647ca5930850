import Packets
import Testing

@testable import Gateway

@Suite struct GatewayOptionsTests {
    static let plain = GatewayOptions(xfrmBatch: "tunnel.xfrm", lan: ["eth1"], wan: ["eth0"])

    struct Change: Sendable, CustomStringConvertible {
        let description: String
        let apply: @Sendable (inout GatewayOptions) -> Void

        init(_ description: String, _ apply: @escaping @Sendable (inout GatewayOptions) -> Void) {
            self.description = description
            self.apply = apply
        }
    }

    static let good: [Change] = [
        Change("defaults") { _ in },
        Change("one port for both") { $0.lan = ["eth0"] },
        Change("VLAN name") { $0.wan = ["eth0.100"] },
        Change("smallest") {
            $0.workers = 1
            $0.batch = 1
            $0.ringSize = 64
            $0.frames = 256
            $0.replayWindow = 32
            $0.mtu = 576
        },
        Change("largest") {
            $0.workers = 256
            $0.batch = 256
            $0.ringSize = 32_768
            $0.frames = 16_777_216
            $0.frameSizeInBytes = 4096
            $0.replayWindow = 65_536
            $0.mtu = 9000
        },
        Change("no replay window") { $0.replayWindow = 0 },
        Change("cores for workers") {
            $0.workers = 2
            $0.cores = [4, 1]
        },
        Change("a configuration to negotiate") {
            $0.xfrmBatch = nil
            $0.configuration = "swanctl.conf"
            $0.keyLog = "keys"
        },
        Change("nothing yet") { $0.xfrmBatch = nil },
        Change("smallest of IKE") {
            $0.ike.retransmitTimeoutInMilliseconds = 100
            $0.ike.retransmitBase = 1
            $0.ike.retransmitTries = 1
            $0.ike.keepaliveInSeconds = 0
            $0.ike.fragmentSizeInBytes = 576
            $0.ike.maximumSessions = 1
            $0.ike.maximumChildren = 1
            $0.ike.maximumHalfOpen = 1
            $0.ike.maximumHalfOpenPerAddress = 1
            $0.ike.cookieThreshold = 0
            $0.ike.halfOpenTimeoutInSeconds = 1
            $0.ike.drainInSeconds = 0
        },
        Change("largest of IKE") {
            $0.ike.retransmitTimeoutInMilliseconds = 60_000
            $0.ike.retransmitTries = 60
            $0.ike.retransmitBase = 1
            $0.ike.keepaliveInSeconds = 3600
            $0.ike.fragmentSizeInBytes = 9000
            $0.ike.maximumSessions = 1_000_000
            $0.ike.halfOpenTimeoutInSeconds = 3600
            $0.ike.drainInSeconds = 300
        },
    ]

    @Test(arguments: good) func accepts(_ change: Change) throws {
        var options = Self.plain
        change.apply(&options)
        try options.validate()
    }

    static let bad: [Change] = [
        Change("--lan") { $0.lan = [] },
        Change("--wan") { $0.wan = [] },
        Change("--lan") { $0.lan = ["eth1", "eth1"] },
        Change("--lan") { $0.lan = ["a/b"] },
        Change("--wan") { $0.wan = ["sixteen-letters0"] },
        Change("--wan") { $0.wan = [".."] },
        Change("--wan") { $0.wan = ["with blank"] },
        Change("--workers") { $0.workers = 0 },
        Change("--workers") { $0.workers = 257 },
        Change("--batch") { $0.batch = 0 },
        Change("--batch") { $0.batch = 257 },
        Change("--cores") { $0.cores = [1, 1] },
        Change("--cores") { $0.cores = [1024] },
        Change("--cores") {
            $0.workers = 2
            $0.cores = [1]
        },
        Change("--frame-size") { $0.frameSizeInBytes = 3000 },
        Change("--ring-size") { $0.ringSize = 1000 },
        Change("--ring-size") { $0.ringSize = 32 },
        Change("--ring-size") { $0.ringSize = 65_536 },
        Change("--frames") { $0.frames = 255 },
        Change("--replay-window") { $0.replayWindow = 31 },
        Change("--replay-window") { $0.replayWindow = 65_537 },
        Change("--mtu") { $0.mtu = 575 },
        Change("--mtu") { $0.mtu = 9001 },
        Change("--xfrm-batch") { $0.configuration = "swanctl.conf" },
        Change("--ike-keylog") { $0.keyLog = "keys" },
        Change("--retransmit-timeout") { $0.ike.retransmitTimeoutInMilliseconds = 99 },
        Change("--retransmit-timeout") { $0.ike.retransmitTimeoutInMilliseconds = .max },
        Change("--retransmit-base") { $0.ike.retransmitBase = 0.9 },
        Change("--retransmit-base") { $0.ike.retransmitBase = .nan },
        Change("--retransmit-tries") { $0.ike.retransmitTries = 0 },
        Change("--retransmit-tries") { $0.ike.retransmitTries = .max },
        // 1.8 to the power of 14 seconds are an hour.
        Change("--retransmit-tries") { $0.ike.retransmitTries = 14 },
        Change("--keepalive") { $0.ike.keepaliveInSeconds = 4 },
        Change("--keepalive") { $0.ike.keepaliveInSeconds = .max },
        Change("--ike-fragment-size") { $0.ike.fragmentSizeInBytes = 575 },
        Change("--maximum-sessions") { $0.ike.maximumSessions = 0 },
        Change("--ike-maximum-message") { $0.ike.maximumFragmentedMessageInBytes = 65_536 },
        Change("--maximum-children") { $0.ike.maximumChildren = 65_537 },
        Change("--maximum-half-open") { $0.ike.maximumHalfOpen = 0 },
        Change("--maximum-half-open-per-address") { $0.ike.maximumHalfOpenPerAddress = 0 },
        Change("--cookie-threshold") { $0.ike.cookieThreshold = -1 },
        Change("--half-open-timeout") { $0.ike.halfOpenTimeoutInSeconds = 0 },
        Change("--drain") { $0.ike.drainInSeconds = 301 },
        Change("--control") { $0.controlSocket = "" },
        Change("--control") { $0.controlSocket = "/" + String(repeating: "x", count: 107) },
    ]

    @Test(arguments: bad) func namesTheFlagAndARemedy(_ change: Change) {
        var options = Self.plain
        change.apply(&options)
        let error = #expect(throws: Problem.self) { try options.validate() }
        #expect(error?.place == .flag(change.description))
        #expect(error?.remedy.isEmpty == false)
    }
}
