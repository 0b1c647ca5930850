import Packets
import Testing

@Suite struct SPITests {
    @Test func theFourBytesAreThoseOfAPacket() {
        let spi: SPI = 0x1234_5678
        #expect(spi.bytes == [0x12, 0x34, 0x56, 0x78])
        #expect(SPI(bytes: spi.bytes) == spi && SPI(networkOrder: spi.networkOrder) == spi)
        #expect(withUnsafeBytes(of: spi.networkOrder) { Array($0) } == spi.bytes)
    }

    @Test(arguments: [[], [1, 2, 3], [1, 2, 3, 4, 5]] as [[UInt8]])
    func otherNumbersOfBytesAreNone(_ bytes: [UInt8]) { #expect(SPI(bytes: bytes) == nil) }

    @Test(arguments: [(0x1001, "0x00001001"), (0, "0x00000000"), (0xFFFF_FFFF, "0xffffffff")] as [(SPI, String)])
    func everyTextHasAllDigits(_ spi: SPI, _ text: String) {
        #expect(spi.description == text && "0x" + spi.digits == text)
    }

    @Test(arguments: [(0, false), (255, false), (256, true), (0xFFFF_FFFF, true)] as [(SPI, Bool)])
    func reservedOnesAreNotUsable(_ spi: SPI, _ isUsable: Bool) { #expect(spi.isUsable == isUsable) }

    @Test func aSeriesGoesOnFromTheFirst() {
        var spi: SPI = 256
        spi += 1
        #expect(spi == 257 && spi + 3 == 260 && spi < spi + 1)
    }
}
