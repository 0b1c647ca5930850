/// Aligned columns of text, for people.
package struct TextTable: Sendable {
    /// The side of its column that a cell keeps to: numbers right, names left.
    package enum Alignment: Sendable {
        case left
        case right
    }

    package struct Column: Sendable {
        package var title: String
        package var alignment: Alignment

        package static func left(_ title: String) -> Column { Column(title: title, alignment: .left) }
        package static func right(_ title: String) -> Column { Column(title: title, alignment: .right) }
    }

    package let columns: [Column]
    package private(set) var rows: [[String]] = []

    package init(_ columns: [Column]) {
        self.columns = columns
    }

    /// Adds a row; missing cells are empty, surplus ones are cut off.
    package mutating func append(_ cells: [String]) {
        rows.append((0..<columns.count).map { $0 < cells.count ? cells[$0] : "" })
    }

    /// Lines without trailing blanks, each ended by a newline; the first holds the titles.
    package func text(indentation: Int = 2) -> String {
        let lines = [columns.map(\.title)] + rows
        let widths = columns.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        var output = ""
        for line in lines {
            var text = String(repeating: " ", count: indentation)
            for (column, cell) in line.enumerated() {
                if column > 0 { text += "  " }
                let blanks = String(repeating: " ", count: widths[column] - cell.count)
                text += columns[column].alignment == .left ? cell + blanks : blanks + cell
            }
            while text.last == " " { text.removeLast() }
            output += text + "\n"
        }
        return output
    }
}

/// Figures for people.
package enum HumanText {
    /// `1234567` becomes `1,234,567`.
    package static func count(_ value: some BinaryInteger) -> String {
        var output = ""
        for (index, digit) in String(value).reversed().enumerated() {
            if index > 0, index.isMultiple(of: 3), digit != "-" { output.append(",") }
            output.append(digit)
        }
        return String(output.reversed())
    }

    /// Bytes in the largest unit that leaves at least one: `1.5 MiB`.
    package static func bytes(_ value: some BinaryInteger) -> String {
        var amount = Double(value)
        for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
            if amount < 1024 || unit == "TiB" { return (unit == "B" ? "\(Int(amount))" : decimal(amount)) + " \(unit)" }
            amount /= 1024
        }
        return ""
    }

    /// One digit behind the point.
    package static func decimal(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "-" }
        let tenths = Int64((abs(value) * 10).rounded())
        return (value < 0 && tenths > 0 ? "-" : "") + "\(tenths / 10).\(tenths % 10)"
    }

    /// Two digits behind the point.
    package static func hundredths(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "-" }
        let hundredths = Int64((abs(value) * 100).rounded())
        let fraction = hundredths % 100
        return (value < 0 && hundredths > 0 ? "-" : "") + "\(hundredths / 100)." + (fraction < 10 ? "0" : "")
            + "\(fraction)"
    }

    /// `93784` becomes `1d 2h 3m 4s`.
    package static func duration(seconds: Int) -> String {
        let parts = [
            (seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s"),
        ]
        let words = parts.filter { $0.0 > 0 }.map { "\($0.0)\($0.1)" }
        return words.isEmpty ? "0s" : words.joined(separator: " ")
    }
}
