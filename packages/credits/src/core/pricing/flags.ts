/** Something a charge had to assume, so that nothing is assumed in silence. */
export type ChargeFlag =
  /** A count that the price needs was not reported; it is not billed. */
  | 'usage_missing'
  /** Parts exceed their total (cached above input, say); each part is billed as reported. */
  | 'usage_inconsistent'
  /** No price for cache reads / writes: billed as fresh input. */
  | 'cache_read_price_missing'
  | 'cache_write_price_missing'
  /** The list has no price for 1-hour cache writes: twice the input price, as Anthropic bills them. */
  | 'cache_write_1h_price_assumed'
  /** Input has a higher tier here, cache reads do not: billed at their base price. */
  | 'cache_tier_missing'
  /** Above a threshold for which the served tier or mode documents no price: its normal price. */
  | 'long_context_undocumented'
  /** The model has no price for the region, fast mode or service tier that was served: the base price. */
  | 'region_price_missing'
  | 'fast_price_missing'
  | 'service_tier_price_missing'
  /** A service tier in a pinned region: the tier's price, without the region's surcharge. */
  | 'service_tier_region_undocumented'
  /** Batch: half price, as the gateway documents for most models; the list has no batch price. */
  | 'batch_factor_assumed'
  /** The model has peak hours, but the usage does not say when the call began: no peak. */
  | 'peak_time_missing'
  /** The peak window has a holiday calendar, which is not known here: taken for a working day. */
  | 'holiday_calendar_ignored'
  /** The listed price is one provider's; others differ. */
  | 'provider_price_varies'
  /** The price list has a dimension that this version does not know: it is not billed. */
  | 'price_dimension_unknown'
  /** Input-only by its type (embedding, decision): output is not billed. */
  | 'output_price_missing'
  /** Counted, but without a price: not billed beside what is. */
  | 'web_search_price_missing'
  | 'maps_search_price_missing'
  | 'image_price_missing'
  | 'audio_price_missing'
  /** Images by the piece and output tokens are both billed; whether providers do is not documented. */
  | 'image_tokens_undocumented'
  /** Text and audio tokens have different prices, but the usage does not tell them apart: the text price. */
  | 'audio_split_missing'
  /** The usage leaves the row of the price table open: the dearest that fits. */
  | 'highest_price_assumed'
  /** The cost has more than 12 decimal places; credits were computed from all of them. */
  | 'cost_rounded'
