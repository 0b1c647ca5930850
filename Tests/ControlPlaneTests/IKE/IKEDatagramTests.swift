import Testing

@testable import ControlPlane

@Suite struct IKEDatagramTests {
    private static let message = [UInt8](repeating: 1, count: 28)

    @Test func onThePlainPortThereIsNoMarker() {
        #expect(IKEDatagram(Self.message, hasMarker: false) == .message(Self.message))
        // An initiator SPI may begin with zeros.
        let zeros = [UInt8](repeating: 0, count: 28)
        #expect(IKEDatagram(zeros, hasMarker: false) == .message(zeros))
    }

    @Test func onTheSharedPortTheMarkerTellsIKEFromESP() {
        #expect(IKEDatagram([0, 0, 0, 0] + Self.message, hasMarker: true) == .message(Self.message))
        #expect(IKEDatagram(Self.message, hasMarker: true) == .esp)
        #expect(IKEDatagram([0, 0, 0, 1] + Self.message, hasMarker: true) == .esp)
    }

    @Test(arguments: [false, true]) func oneByteKeepsAMappingAlive(hasMarker: Bool) {
        #expect(IKEDatagram([0xFF], hasMarker: hasMarker) == .keepalive)
        #expect(IKEDatagram([0xFE], hasMarker: hasMarker) == .malformed)
        #expect(IKEDatagram([0xFF, 0xFF], hasMarker: hasMarker) == .malformed)
    }

    @Test(arguments: [false, true]) func whatIsTooShortIsMalformed(hasMarker: Bool) {
        #expect(IKEDatagram([], hasMarker: hasMarker) == .malformed)
        #expect(IKEDatagram([UInt8](repeating: 0, count: 27), hasMarker: hasMarker) == .malformed)
        #expect(IKEDatagram([UInt8](repeating: 0, count: 31), hasMarker: true) == .malformed)
    }

    @Test func theHolderOfAPortIsFoundInTheKernelsTable() {
        let table = """
              sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
             1234: 00000000:01F4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 0
             1235: 00000000:1194 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0000000000000000 0
             garbage
            """
        #expect(PortHolder.inodes(inTable: table, port: 500) == ["socket:[4711]"])
        #expect(PortHolder.inodes(inTable: table, port: 4500) == ["socket:[4712]"])
        #expect(PortHolder.inodes(inTable: table, port: 501).isEmpty)
    }
}
