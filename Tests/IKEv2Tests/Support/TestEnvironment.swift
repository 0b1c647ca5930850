import IKEv2
import IPsec
import Packets

extension ProtocolSettings {
    /// A peer counts as dead after 41 s.
    static var impatient: ProtocolSettings {
        var settings = ProtocolSettings()
        settings.retransmitTimeoutInMilliseconds = 1000
        return settings
    }
}

/// What one end may ask for, all of it moved by the test: the clock is the bench's, chance is a fixed sequence.
final class TestEnvironment: SessionEnvironment {
    var now: Instant = 0
    var wallClock: Int64 = 1_800_000_000
    var settings = ProtocolSettings.impatient
    var credentials = Credentials()
    /// By inbound SPI.
    var usages: [SPI: ChildUsage] = [:]
    var keyLog: [KeyLogLine] = []
    var fragmentedMessagesRefused = 0
    var isFirst = true
    var refusesDuplicates = false
    /// No SPI is left.
    var isOutOfSPIs = false
    /// The dataplane has room for one more SA.
    var hasRoom = true
    /// Questions are answered later, by `TestHost.answer`.
    var answersLater = false
    /// The next nonces, in order; then they are as chance has it.
    var nonces: [[UInt8]] = []
    /// SPIs that were given out and are neither installed nor released.
    var pendingSPIs: Set<SPI> = []

    private var state: UInt64
    private var lastID: UInt32 = 0
    private var lastSPI: SPI
    private var requestIDs: [[TrafficSelector]: UInt32] = [:]

    init(seed: UInt64) {
        state = seed
        lastSPI = SPI(UInt32(truncatingIfNeeded: seed) << 24 | 0x1000)
    }

    /// splitmix64.
    func random(count: Int) -> [UInt8] {
        if count == 32, !nonces.isEmpty { return nonces.removeFirst() }
        return arbitrary(count: count)
    }

    private func arbitrary(count: Int) -> [UInt8] {
        (0..<count).map { _ in
            state &+= 0x9e37_79b9_7f4a_7c15
            var value = state
            value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
            return UInt8(truncatingIfNeeded: value ^ (value >> 31))
        }
    }

    func answer(_ question: Question) -> Answer? { answersLater ? nil : question.answer() }

    func uniqueID() -> UInt32 {
        lastID += 1
        return lastID
    }

    func hasRoom(for selectors: [TrafficSelector]) -> Bool { hasRoom }

    func allocateSPI() throws(InstallationError) -> SPI {
        if isOutOfSPIs { throw InstallationError("all SPIs are taken") }
        lastSPI += 1
        pendingSPIs.insert(lastSPI)
        return lastSPI
    }

    func requestID(
        connection: Connection, child: Child, selectors: [TrafficSelector], peer: Identity
    ) -> UInt32 {
        if child.requestID > 0 { return child.requestID }
        let next = UInt32(requestIDs.count + 1)
        return requestIDs[selectors, default: next]
    }

    func usage(of sa: ChildSA) -> ChildUsage? { usages[sa.inboundSPI] }
    func isFirstContact(local: Identity, remote: Identity) -> Bool { isFirst }
    func refusesDuplicate(_ connection: Connection, local: Identity, remote: Identity) -> Bool { refusesDuplicates }
    func fragmentedMessageRefused() { fragmentedMessagesRefused += 1 }
    func logKeys(_ line: @autoclosure () -> KeyLogLine) { keyLog.append(line()) }
}
