import IKEv2
import Packets
import Testing

@Suite struct PathTests {
    @Test func endpointsAreWrittenAsInURLs() {
        #expect("\(Endpoint(IPAddress(ipv4: 0xC000_0201), port: 500))" == "192.0.2.1:500")
        #expect("\(Endpoint(IPAddress(ipv6High: 0x2001_0db8_0000_0000, low: 1), port: 4500))" == "[2001:db8::1]:4500")
    }
}
