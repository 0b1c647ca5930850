import Testing

@testable import ControlPlane

/// Text for clients that show nothing but printable ASCII.
@Suite struct PlainTextTests {
    @Test(arguments: [
        ("", ""), ("as it is ~", "as it is ~"), ("one\ntwo\r\nthree", "one; two; three"), ("a\tb", "a b"),
        ("{ secret = … }", "{ secret = ... }"), ("D(ESP × 2)", "D(ESP x 2)"), ("CN=Müller", "CN=M?ller"),
        ("\u{1B}[31m", "?[31m"), ("\u{7F}\0", "??"), ("e\u{301}", "?"),
    ])
    func isPrintableASCII(_ text: String, _ plain: String) {
        #expect(PlainText.of(text) == plain)
    }
}
