import { Text, TextInput, type TextInputProps } from '@mantine/core'

/** A plain decimal: what the server accepts, said before it has to refuse. */
const PERCENT = /^-?\d{1,5}(\.\d{1,4})?$/

/** Is this a margin that could be saved? */
export function isPercent(value: string): boolean {
  return PERCENT.test(value.trim())
}

/** Points of a change that is more likely a slip of the keyboard than a decision. */
const LARGE_POINTS = 20

/** Is the step so large, or the margin below the cost, that it should be confirmed? */
export function isLargeChange(from: string, to: string): boolean {
  const target = Number(to)
  return target < 0 || (from !== '' && Math.abs(target - Number(from)) > LARGE_POINTS)
}

/** Text, not a number field: a margin is a decimal string from here to the database. */
export function MarginInput({ value, ...props }: TextInputProps & { value: string }) {
  return (
    <TextInput
      label="Margin on cost"
      rightSection="%"
      inputMode="decimal"
      w={140}
      value={value}
      error={value.trim() !== '' && !isPercent(value) ? 'A number such as 12.5' : undefined}
      {...props}
    />
  )
}

/** Why a change was refused; read out when it appears. */
export function Refusal({ message }: { message: string | null }) {
  if (!message) return null
  return (
    <Text size="sm" c="red" role="alert" mt="xs">
      {message}
    </Text>
  )
}
