import Foundation
import Testing

@testable import Gateway

/// The writer against Foundation's reader, and against exact text.
@Suite struct JSONDocumentTests {
    struct Sample: Codable, Hashable {
        struct Inner: Codable, Hashable {
            var longName: String
            var optional: Int?
        }
        var text: String
        var largest: UInt64
        var smallest: Int64
        var byte: UInt8
        var ratio: Double
        var flag: Bool
        var list: [Inner]
        var empty: [Int]
        var nested: [[Int]]
        var absent: String?
    }

    static let sample = Sample(
        text: "quote \" backslash \\ newline \n é \u{1F}", largest: .max, smallest: .min, byte: 255, ratio: 0.125,
        flag: true, list: [.init(longName: "a", optional: 1), .init(longName: "b", optional: nil)], empty: [],
        nested: [[1], [], [2, 3]], absent: nil)

    @Test(arguments: [true, false]) func isReadBackEqual(indented: Bool) throws {
        let text = try JSONDocument.text(Self.sample, indented: indented)
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        #expect(try decoder.decode(Sample.self, from: Data(text.utf8)) == Self.sample)
    }

    @Test func keepsOrderAndIndents() throws {
        let value = Sample.Inner(longName: "x", optional: 7)
        #expect(try JSONDocument.text(value, indented: false) == #"{"long_name":"x","optional":7}"#)
        #expect(try JSONDocument.text([value]) == "[\n  {\n    \"long_name\": \"x\",\n    \"optional\": 7\n  }\n]\n")
        #expect(try JSONDocument.text([Int]()) == "[]\n")
    }

    @Test(arguments: [(1.0, "1"), (-2.5, "-2.5"), (1e300, "1e+300"), (0.1, "0.1")])
    func writesNumbers(_ pair: (Double, String)) throws {
        #expect(try JSONDocument.text([pair.0], indented: false) == "[\(pair.1)]")
    }

    @Test(arguments: [Double.nan, .infinity]) func refusesWhatJSONLacks(_ number: Double) {
        #expect(throws: EncodingError.self) { try JSONDocument.text([number]) }
    }

    /// Time is linear in the number of elements: a large status takes no time to speak of.
    @Test func writesManyElements() throws {
        let many = (0..<20_000).map { (number: Int) in Sample.Inner(longName: String(number), optional: number) }
        let clock = ContinuousClock()
        var text = ""
        let duration = try clock.measure { text = try JSONDocument.text(many, indented: false) }
        #expect(text.hasSuffix(#"{"long_name":"19999","optional":19999}]"#))
        #expect(duration < .seconds(5))
    }
}
