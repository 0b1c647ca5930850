import Testing

@testable import Configuration

/// Words as `ip -batch` cuts them.
@Suite struct BatchTextTests {
    private func lines(_ text: String) -> [(line: Int, words: [String])] {
        var text = text
        return text.withUTF8 { bytes in
            let batch = BatchText(UnsafeRawBufferPointer(bytes))
            return batch.lines.map { line in (line.line, line.words.map(\.text)) }
        }
    }

    @Test(arguments: [
        ("a b  c", ["a", "b", "c"]),
        ("\t a\tb \r\n", ["a", "b"]),
        ("a 'b c' \"d 'e'\"", ["a", "b c", "d 'e'"]),
        ("a '' b", ["a", "", "b"]),
        ("a'b c'", ["a'b", "c'"]),
        ("'a'b", ["a", "b"]),
        ("a b # c", ["a", "b"]),
        ("a b#c d", ["a", "b"]),
        ("a \\\n b", ["a", "b"]),
        ("10.0.\\\n0.1 x", ["10.0.0.1", "x"]),
        ("a \\\r\nb", ["a", "b"]),
        ("a 'b\\\nc' d", ["a", "bc", "d"]),
        ("a \\b \\", ["a", "\\b", "\\"]),
    ])
    func words(text: String, expected: [String]) {
        let lines = lines(text)
        #expect(lines.count == 1)
        #expect(lines.first?.words == expected)
    }

    @Test func linesAreNumberedByTheirFirst() {
        let lines = lines("# one\n\na \\\nb\n  \nc # rest \\\nd")
        #expect(lines.map(\.line) == [3, 6, 7])
        #expect(lines.map(\.words) == [["a", "b"], ["c"], ["d"]])
    }

    @Test func columnsAndLinesOfWords() {
        var text = "aa  'b' \\\n cc"
        text.withUTF8 { bytes in
            let batch = BatchText(UnsafeRawBufferPointer(bytes))
            let words = batch.lines.flatMap { $0.words }
            #expect(words.map(\.column) == [1, 5, 2])
            #expect(words.map(\.line) == [1, 1, 2])
        }
    }

    @Test func openQuoteLosesItsLineOnly() {
        var text = "a 'b c\nd\n\"e # f\" g\nh"
        text.withUTF8 { bytes in
            let batch = BatchText(UnsafeRawBufferPointer(bytes))
            #expect(batch.lines.map { $0.words.map(\.text) } == [["d"], ["h"]])
            #expect(batch.unterminatedQuotes.map(\.line) == [1, 3])
            #expect(batch.unterminatedQuotes.map(\.hasComment) == [false, true])
        }
    }

    @Test(arguments: ["", "\n", "#", "\\", "\\\n", "\\\n\\\n", "'", " \\\n # x"])
    func almostNothing(text: String) {
        #expect(lines(text).allSatisfy { $0.words == ["\\"] })
    }
}
