import Cryptography
import IKEv2
import Packets
import XDP

/// All that `sluice run` can be told. Every field has the default of its flag.
package struct GatewayOptions: Hashable, Sendable {
    /// The engine for the cryptography.
    package enum Engine: String, CaseIterable, Sendable {
        /// The fastest that is installed.
        case auto
        case openssl

        /// The maker of the ciphers.
        package var maker: any ESPEngine {
            switch self {
            case .auto, .openssl: OpenSSLEngine()
            }
        }
    }

    /// The default path of the control socket.
    package static let defaultControlSocket = "/run/sluice/control.vici"

    /// File of `ip xfrm` lines: SAs and policies by hand, and no IKE; nil: SAs are negotiated.
    package var xfrmBatch: String?
    /// The swanctl.conf; nil: IKE starts empty, and takes everything over the control socket.
    package var configuration: String?
    /// Interfaces towards the protected networks.
    package var lan: [String]
    /// Interfaces towards the peers.
    package var wan: [String]
    /// Worker threads; nil: as many as the ports have queues and the process has cores.
    package var workers: Int?
    /// Cores to pin workers to, in order; nil: the first ones that the process may use.
    package var cores: [Int]?
    /// Packets that a worker takes from a queue at once.
    package var batch = 64
    /// Frames of packet memory; nil: enough for all rings and some spare.
    package var frames: Int?
    /// Bytes per frame, 256 of them headroom.
    package var frameSizeInBytes = 2048
    /// Descriptors per ring.
    package var ringSize = 1024
    /// The place where XDP runs.
    package var xdpMode = XDPMode.auto
    /// The way of packets into the frames.
    package var copyMode = CopyMode.auto
    /// Whether idle workers spin instead of sleeping.
    package var busyPoll = false
    /// Packets in the replay window of SAs that name none.
    package var replayWindow = 1024
    package var engine = Engine.auto
    /// Largest outer packet in bytes; nil: the MTU of the way out.
    package var mtu: Int?
    package var hugePages = UMEM.HugePages.auto
    package var controlSocket = GatewayOptions.defaultControlSocket
    /// Whether to replace somebody else's XDP program.
    package var force = false
    /// Whether an orderly end opens the boundary: the kernel then forwards in clear what the tunnels protected.
    package var openOnExit = false
    /// The directory for the names of tunnels that are up, for the next start; nil: none.
    package var stateDirectory: String?
    /// Times and limits of IKE.
    package var ike = ProtocolSettings()
    /// `--allow-weak`.
    package var proposalRules = ProposalRules()
    /// The file that the keys of all SAs are written to, for Wireshark; nil: none.
    package var keyLog: String?

    /// Whether SAs are negotiated; else they are written by hand.
    package var negotiates: Bool { xfrmBatch == nil }

    package init(xfrmBatch: String? = nil, configuration: String? = nil, lan: [String], wan: [String]) {
        self.xfrmBatch = xfrmBatch
        self.configuration = configuration
        self.lan = lan
        self.wan = wan
    }
}

extension GatewayOptions {
    /// Checks where SAs come from, and the times and limits of IKE.
    func validateNegotiation() throws(Problem) {
        if let xfrmBatch {
            if configuration != nil {
                throw Problem(
                    flag: "--xfrm-batch", value: xfrmBatch,
                    "keys are either written by hand or negotiated, not both in one gateway",
                    remedy: "leave out --config, or move the tunnel into the swanctl.conf")
            }
            if let keyLog {
                throw Problem(
                    flag: "--ike-keylog", value: keyLog, "with --xfrm-batch nothing is negotiated",
                    remedy: "leave it out; the keys are in \(xfrmBatch)")
            }
        }
        try validateRetransmission()
        try validateLimits()
    }

    private func validateRetransmission() throws(Problem) {
        let timeout = Double(ike.retransmitTimeoutInMilliseconds) / 1000
        guard (0.1...60).contains(timeout) else {
            throw Problem(
                flag: "--retransmit-timeout", value: "\(timeout)", "out of range",
                remedy: "give 0.1 to 60 seconds")
        }
        guard (1...10).contains(ike.retransmitBase) else {
            throw Problem(
                flag: "--retransmit-base", value: "\(ike.retransmitBase)", "out of range",
                remedy: "give 1 (always the same wait) to 10")
        }
        try within("--retransmit-tries", Int(ike.retransmitTries), 1...60, "repetitions")
        var wait = timeout
        for _ in 0..<ike.retransmitTries { wait *= ike.retransmitBase }
        guard wait <= 3600 else {
            throw Problem(
                flag: "--retransmit-tries", value: "\(ike.retransmitTries)",
                "the last wait would be longer than an hour",
                remedy: "give fewer, or a smaller --retransmit-base or --retransmit-timeout")
        }
    }

    private func validateLimits() throws(Problem) {
        try within("--keepalive", Int(clamping: ike.keepaliveInSeconds), 5...3600, unless: 0, "seconds (0: none)")
        try within("--ike-fragment-size", ike.fragmentSizeInBytes, 576...9_000, "bytes")
        try within("--ike-maximum-message", ike.maximumFragmentedMessageInBytes, 1_280...65_535, "bytes")
        try within("--maximum-sessions", ike.maximumSessions, 1...1_000_000, "IKE SAs")
        try within("--maximum-children", ike.maximumChildren, 1...65_536, "CHILD_SAs")
        try within("--maximum-half-open", ike.maximumHalfOpen, 1...1_000_000, "negotiations")
        try within("--maximum-half-open-per-address", ike.maximumHalfOpenPerAddress, 1...1_000_000, "negotiations")
        try within("--cookie-threshold", ike.cookieThreshold, 0...1_000_000, "negotiations")
        try within("--cookie-rate", Int(clamping: ike.cookieRate), 0...1_000_000, "requests a second")
        try within("--strangers-share", ike.strangersShareInPercent, 1...90, "percent")
        try within("--half-open-timeout", Int(clamping: ike.halfOpenTimeoutInSeconds), 1...3600, "seconds")
        try within("--drain", Int(clamping: ike.drainInSeconds), 0...300, "seconds")
    }
}

extension GatewayOptions {
    /// Checks every value against its bounds and against the others, without looking at the machine.
    package func validate() throws(Problem) {
        try validateInterfaces()
        try validateWorkers()
        try validateMemory()
        try validateNegotiation()
        try within("--replay-window", replayWindow, 32...65_536, unless: 0, "packets (0 turns replay protection off)")
        if let mtu { try within("--mtu", mtu, 576...9_000, "bytes") }
        guard !controlSocket.isEmpty, controlSocket.utf8.count < 108 else {
            throw Problem(
                flag: "--control", value: controlSocket, "a socket's path has 1 to 107 bytes",
                remedy: "give a shorter path")
        }
    }

    private func validateInterfaces() throws(Problem) {
        for (flag, names) in [("--lan", lan), ("--wan", wan)] {
            guard !names.isEmpty else {
                throw Problem(
                    flag: flag, value: "", "no interface is named",
                    remedy: "name at least one, e.g. \(flag) eth0")
            }
            for name in names where !Self.isInterfaceName(name) {
                throw Problem(
                    flag: flag, value: name, "an interface's name has 1 to 15 bytes, no blank and no slash",
                    remedy: "list names with `ip link`, separated by commas")
            }
            if Set(names).count < names.count {
                throw Problem(
                    flag: flag, value: names.joined(separator: ","), "an interface is named twice",
                    remedy: "name each once")
            }
        }
    }

    private func validateWorkers() throws(Problem) {
        if let workers { try within("--workers", workers, 1...256, "threads") }
        try within("--batch", batch, 1...256, "packets")
        guard let cores else { return }
        let text = cores.map(String.init).joined(separator: ",")
        for core in cores { try within("--cores", core, 0...1023, "for a core's number") }
        if Set(cores).count < cores.count {
            throw Problem(
                flag: "--cores", value: text, "a core is named twice",
                remedy: "give each worker a core of its own")
        }
        if let workers, cores.count != workers {
            throw Problem(
                flag: "--cores", value: text, "\(cores.count) cores for \(workers) workers",
                remedy: "name as many cores as --workers says, or leave one of the two out")
        }
    }

    private func validateMemory() throws(Problem) {
        guard [2048, 4096].contains(frameSizeInBytes) else {
            throw Problem(
                flag: "--frame-size", value: "\(frameSizeInBytes)", "AF_XDP knows frames of two sizes",
                remedy: "give 2048, or 4096 for an MTU above 1500")
        }
        try within("--ring-size", ringSize, 64...32_768, "descriptors")
        guard ringSize.nonzeroBitCount == 1 else {
            throw Problem(
                flag: "--ring-size", value: "\(ringSize)", "the kernel wants a power of two",
                remedy: "give e.g. 1024 or 2048")
        }
        if let frames { try within("--frames", frames, 256...16_777_216, "frames") }
    }

    func within(
        _ flag: String, _ value: Int, _ range: ClosedRange<Int>, unless exception: Int? = nil, _ unit: String
    ) throws(Problem) {
        guard !range.contains(value), value != exception else { return }
        throw Problem(
            flag: flag, value: "\(value)", "out of range",
            remedy: "give \(range.lowerBound) to \(range.upperBound) \(unit)")
    }

    /// Whether the kernel takes this as an interface's name (`dev_valid_name`).
    static func isInterfaceName(_ name: String) -> Bool {
        let bytes = name.utf8
        return (1...15).contains(bytes.count) && name != "." && name != ".."
            && bytes.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") }
    }
}
